"""Masking of tokens (BERT, arXiv:1810.04805): masks are drawn once and stored, for teacher and student.

Of a row's tokens, special ones aside, a share is chosen, at least one. Of the chosen most become the mask token, some a
random token, and the rest stay as they are; all of them are prediction targets. A row's masks depend on the seed, its
content id and its tokens only, so that added or shuffled rows do not change the masks of others.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from pipestill.data.split import split_position
from pipestill.data.tables import TableWriter
from pipestill.errors import DataError, ModelError
from pipestill.mlm.params import MlmMasksParams
from pipestill.mlm.texts import Text
from pipestill.records import Record
from pipestill.seeding import derive_seed
from pipestill.text.tokenizer import encode

MASKED_ROWS = pa.schema(
    [
        ("content_id", pa.string()),
        ("input_ids", pa.list_(pa.int32())),
        ("positions", pa.list_(pa.int32())),
        ("original_ids", pa.list_(pa.int32())),
    ]
)
"""Columns of masked rows: token ids after masking, masked positions in ascending order, and their original token
ids."""
READ_ROWS = 1000
"""Rows in memory while masks are drawn."""


class SplitCard(Record):
    """Counts of one split.

    Attributes:
        num_rows: rows with at least one masked token.
        num_tokens: tokens of all rows, special tokens included.
        num_masked_tokens: masked positions of all rows.
    """

    num_rows: int
    num_tokens: int
    num_masked_tokens: int


class MlmMasksCard(Record):
    """Counts of all masked rows.

    Attributes:
        splits: counts of `train` and `dev`.
        num_left_out_rows: rows that hold special tokens only.
    """

    splits: dict[str, SplitCard]
    num_left_out_rows: int


class Masked(NamedTuple):
    """One row: `input_ids` int64 [token], `positions` and `original_ids` int64 [masked]."""

    input_ids: Int[np.ndarray, " token"]
    positions: Int[np.ndarray, " masked"]
    original_ids: Int[np.ndarray, " masked"]


class MaskDrawer:
    """Draws the masks of rows.

    Args:
        params: section `mlm_masks` of params.yaml.
        tokenizer: tokenizer with a mask token.

    Raises:
        ModelError: the tokenizer has no mask token.
    """

    def __init__(self, params: MlmMasksParams, tokenizer: PreTrainedTokenizerBase) -> None:
        if tokenizer.mask_token_id is None:
            raise ModelError(
                "the tokenizer has no mask token",
                found=type(tokenizer).__name__,
                expected="the tokenizer of a masked language model",
                next_step="choose a base that was trained by masking",
            )
        self._params = params
        self._mask_id = int(tokenizer.mask_token_id)
        special = set(tokenizer.all_special_ids)
        self._ordinary = np.asarray(sorted(set(tokenizer.get_vocab().values()) - special), dtype=np.int64)
        self._special = np.asarray(sorted(special), dtype=np.int64)

    def draw(self, content_id: str, input_ids: Sequence[int]) -> Masked | None:
        """Mask one row; None where it has no ordinary token."""
        ids = np.asarray(input_ids, dtype=np.int64)
        candidates = np.flatnonzero(~np.isin(ids, self._special))
        if not len(candidates):
            return None
        generator = np.random.default_rng(derive_seed(self._params.seed, content_id))
        count = max(1, round(self._params.masked_fraction * len(candidates)))
        positions = np.sort(generator.choice(candidates, size=count, replace=False))
        fate = generator.random(count)
        to_mask = fate < self._params.mask_token_fraction
        to_random = ~to_mask & (fate < self._params.mask_token_fraction + self._params.random_token_fraction)
        masked = ids.copy()
        masked[positions[to_mask]] = self._mask_id
        masked[positions[to_random]] = generator.choice(self._ordinary, size=count)[to_random]
        return Masked(masked, positions, ids[positions])


class _Split:
    """Writer and counter of one split's table."""

    def __init__(self, path: Path) -> None:
        self.writer = TableWriter(path, MASKED_ROWS)
        self.num_tokens = self.num_masked_tokens = 0

    def add(self, content_id: str, row: Masked) -> None:
        self.num_tokens += len(row.input_ids)
        self.num_masked_tokens += len(row.positions)
        columns = {name: value.tolist() for name, value in row._asdict().items()}
        self.writer.write([{"content_id": content_id, **columns}])

    @property
    def card(self) -> SplitCard:
        return SplitCard(
            num_rows=self.writer.num_rows, num_tokens=self.num_tokens, num_masked_tokens=self.num_masked_tokens
        )


def write_masks(
    params: MlmMasksParams, tokenizer: PreTrainedTokenizerBase, texts: Iterable[Text], out: Path
) -> MlmMasksCard:
    """Cut texts into tokens, mask them and write them, in a table for training and one for dev.

    Args:
        params: section `mlm_masks` of params.yaml.
        tokenizer: tokenizer, which is set to truncate at `max_length`.
        texts: texts sorted by content id; read in batches, so that memory does not grow with them.
        out: folder of train.parquet and dev.parquet, with the columns `MASKED_ROWS`.

    Returns:
        The counts of rows and tokens.

    Raises:
        ModelError: the tokenizer has no mask token.
        DataError: a split lacks tokens to mask.
    """
    drawer = MaskDrawer(params, tokenizer)
    tokenizer.model_max_length = params.max_length
    splits = {name: _Split(out / f"{name}.parquet") for name in ("train", "dev")}
    num_left_out = 0
    with splits["train"].writer, splits["dev"].writer:
        for text, ids in _encoded(tokenizer, texts):
            row = drawer.draw(text.content_id, ids)
            if row is None:
                num_left_out += 1
                continue
            position = split_position(text.key, params.seed)
            splits["dev" if position < params.dev_fraction else "train"].add(text.content_id, row)
    cards = {name: split.card for name, split in splits.items()}
    for name, card in cards.items():
        if not card.num_rows:
            raise DataError(
                f"the split {name} does not have a text to mask",
                next_step="bring unlabelled text, or change max_rows or dev_fraction of mlm_masks",
            )
    return MlmMasksCard(splits=cards, num_left_out_rows=num_left_out)


def _encoded(tokenizer: PreTrainedTokenizerBase, texts: Iterable[Text]) -> Iterator[tuple[Text, list[int]]]:
    rest = iter(texts)
    while batch := list(islice(rest, READ_ROWS)):
        yield from zip(batch, encode(tokenizer, [text.text for text in batch]), strict=True)
