"""crop_ngrams: a run of words of a text, of random length.

Source: Tang et al. 2019, arXiv 1903.12136 (n-gram sampling), with the length given as a share of the words, so that
long texts do not all shrink to five words. The crop has no label: it may lack the words that decided the label.
"""

import random
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.transfer._base import MIN_UNITS, AugmentationSpec, NewRow, TransferInputs, split_units


def crop_ngrams(text: str, min_fraction: float, max_fraction: float, numbers: random.Random) -> str | None:
    """Crop a text to a run of its words.

    Args:
        text: text to crop.
        min_fraction: shortest run, as a share of the words.
        max_fraction: longest run, as a share of the words; at least one word is always cut off.
        numbers: random numbers of this copy.

    Returns:
        The run; None for a text of fewer than two words.
    """
    units, joiner = split_units(text)
    if len(units) < MIN_UNITS:
        return None
    share = numbers.uniform(min_fraction, max_fraction)
    length = min(max(1, round(share * len(units))), len(units) - 1)
    start = numbers.randrange(len(units) - length + 1)
    return joiner.join(units[start : start + length])


class CropNgrams(AugmentationSpec):
    """`copies` crops of each train row."""

    kind: Literal["crop_ngrams"]
    copies: Annotated[int, Field(ge=1)]
    min_fraction: Annotated[float, Field(gt=0, lt=1)]
    max_fraction: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _ordered(self) -> "CropNgrams":
        if self.min_fraction > self.max_fraction:
            raise ValueError("min_fraction must not be above max_fraction")
        return self

    def new_rows(self, given: TransferInputs) -> Iterator[NewRow]:
        """Crop each train row; see `AugmentationSpec.new_rows`."""
        for row in given.train:
            for copy in range(self.copies):
                numbers = self.stream(given.seed, row.content_id, copy)
                text = crop_ngrams(row.text, self.min_fraction, self.max_fraction, numbers)
                if text is not None:
                    yield NewRow(text, (row.content_id,))
