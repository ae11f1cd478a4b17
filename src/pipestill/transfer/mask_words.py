"""mask_words: each word becomes the mask token with probability `fraction`.

Source: Tang et al. 2019, "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks", arXiv 1903.12136
(masking). A word may carry the meaning, so the copy has no label: the teacher's logits on it show the word's effect.
"""

import random
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pipestill.errors import DataError
from pipestill.transfer._base import MIN_UNITS, AugmentationSpec, NewRow, TransferInputs, split_units


def mask_words(text: str, fraction: float, mask_token: str, numbers: random.Random) -> str | None:
    """Mask words of a text; at least one, and never all.

    Args:
        text: text to mask.
        fraction: probability of each word, in (0, 1).
        mask_token: mask token of the teacher base.
        numbers: random numbers of this copy.

    Returns:
        The masked text; None for a text of fewer than two words.
    """
    units, joiner = split_units(text)
    if len(units) < MIN_UNITS:
        return None
    masked = [index for index in range(len(units)) if numbers.random() < fraction]
    if not masked:
        masked = [numbers.randrange(len(units))]
    if len(masked) == len(units):
        masked.remove(numbers.choice(masked))
    for index in masked:
        units[index] = mask_token
    return joiner.join(units)


class MaskWords(AugmentationSpec):
    """`copies` masked copies of each train row."""

    kind: Literal["mask_words"]
    copies: Annotated[int, Field(ge=1)]
    fraction: Annotated[float, Field(gt=0, lt=1)]

    def new_rows(self, given: TransferInputs) -> Iterator[NewRow]:
        """Mask words of each train row; see `AugmentationSpec.new_rows`."""
        if given.mask_token is None:
            raise DataError(
                "mask_words needs a mask token, which the teacher base lacks",
                found="no mask_token in models/base/tokenizer_config.json",
                next_step="remove mask_words from transfer.augmentations in params.yaml, or choose another base",
            )
        for row in given.train:
            for copy in range(self.copies):
                numbers = self.stream(given.seed, row.content_id, copy)
                text = mask_words(row.text, self.fraction, given.mask_token, numbers)
                if text is not None:
                    yield NewRow(text, (row.content_id,))
