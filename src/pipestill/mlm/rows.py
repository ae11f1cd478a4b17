"""Batches of masked rows, with the teacher's cached outputs."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch import Tensor

from pipestill.text.batching import collate

Batch = dict[str, Tensor]
"""`input_ids` and `attention_mask` `[batch, token]`; `places` (row * tokens + token) and `label_id` (the original
token) `[masked]`; from a teacher `top_ids`, `top_log_probabilities` `[masked, k]` and `hidden` `[masked, hidden]`.
"""


class CachedRow(NamedTuple):
    """A teacher's outputs for one row: `[masked, k]`, `[masked, k]`, `[masked, hidden]`."""

    top_ids: np.ndarray
    top_log_probabilities: np.ndarray
    hidden: np.ndarray


class TeacherRows(Protocol):
    """A teacher's outputs for the rows of a table, by row number."""

    def row(self, number: int) -> CachedRow:
        """Return the outputs for one row."""


class MaskedRows(torch.utils.data.Dataset[dict[str, Any]]):
    """The rows of a masked table, by row number.

    Args:
        table: table with the columns `MASKED_ROWS`.
        taught: outputs of a teacher for the same rows; None without a teacher.
    """

    def __init__(self, table: Dataset, taught: TeacherRows | None = None) -> None:
        self.table = table
        self._taught = taught
        self.lengths = pc.list_value_length(table.data.column("input_ids")).to_numpy().astype(np.int32)
        self.num_masked_tokens = int(pc.sum(pc.list_value_length(table.data.column("positions"))).as_py())

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return one row: input_ids, positions, original_ids, and the teacher's outputs."""
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return several rows with one read of the table."""
        found = self.table[list(rows)]
        return [
            {name: found[name][place] for name in ("input_ids", "positions", "original_ids")}
            | (self._taught.row(int(row))._asdict() if self._taught else {})
            for place, row in enumerate(rows)
        ]


class MaskedCollator:
    """Maker of a `Batch` from rows."""

    def __init__(self, pad_token_id: int) -> None:
        self._pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[dict[str, Any]]) -> Batch:
        """Collate one batch."""
        batch = collate([row["input_ids"] for row in rows], self._pad_token_id)
        longest = batch["input_ids"].shape[1]
        batch["places"] = torch.tensor(
            [number * longest + position for number, row in enumerate(rows) for position in row["positions"]]
        )
        batch["label_id"] = torch.tensor([token for row in rows for token in row["original_ids"]])
        if "top_ids" in rows[0]:
            for name, kind in (("top_ids", np.int64), ("top_log_probabilities", np.float32), ("hidden", np.float32)):
                batch[name] = torch.from_numpy(np.concatenate([row[name] for row in rows]).astype(kind))
        return batch
