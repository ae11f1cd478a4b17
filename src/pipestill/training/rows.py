"""The rows of a training as token ids on disk: memory-mapped, so that memory does not grow with their number."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from pipestill.fingerprint import sha256_json
from pipestill.tasks.targets import NO_LABEL
from pipestill.text.batching import collate
from pipestill.text.tokenizer import encode


class TrainingRows(torch.utils.data.Dataset[dict[str, Any]]):
    """Token ids and labels of a table, by row number.

    Args:
        table: columns text and label_id.
        tokenizer: tokenizer that truncates at its `model_max_length`.
        scratch: folder that keeps the token ids, which a rerun reads again.
    """

    def __init__(self, table: Dataset, tokenizer: PreTrainedTokenizerBase, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        if not sys.stderr.isatty():
            datasets.disable_progress_bars()
        # The scratch folder's name holds the stage's key, and with it the hashes of rows and tokenizer.
        fingerprint = sha256_json([scratch.name, len(table), tokenizer.model_max_length])[:32]
        self._rows = table.select_columns(["text", "label_id"]).map(
            lambda batch: _encode_batch(tokenizer, batch),
            batched=True,
            remove_columns=["text"],
            new_fingerprint=fingerprint,
            cache_file_name=str(scratch / f"tokens-{fingerprint}.arrow"),
        )
        self.lengths = np.asarray(self._rows.with_format("numpy")["num_tokens"], dtype=np.int32)

    def __len__(self) -> int:
        return len(self.lengths)

    def count_labels(self, num_labels: int) -> npt.NDArray[np.int64]:
        """Count the rows of each label, int64 `[label]`; rows without a label are left out."""
        label_ids = np.asarray(self._rows.with_format("numpy")["label_id"], dtype=np.int64)
        return np.bincount(label_ids[label_ids != NO_LABEL], minlength=num_labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return one row: row, input_ids, label_id."""
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return several rows with one read of the table."""
        found = self._rows[list(rows)]
        return [
            {"row": row, "input_ids": ids, "label_id": label_id}
            for row, ids, label_id in zip(rows, found["input_ids"], found["label_id"], strict=True)
        ]


class Collator:
    """Maker of batches: `input_ids` and `attention_mask` `[batch, token]`, `label_id` and `row` `[batch]`."""

    def __init__(self, pad_token_id: int) -> None:
        self._pad_token_id = pad_token_id

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Collate one batch."""
        batch = collate([row["input_ids"] for row in rows], self._pad_token_id)
        return {
            **batch,
            "label_id": torch.tensor([row["label_id"] for row in rows]),
            "row": torch.tensor([row["row"] for row in rows]),
        }


def _encode_batch(tokenizer: PreTrainedTokenizerBase, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    ids = encode(tokenizer, batch["text"])
    return {"input_ids": ids, "num_tokens": [len(row) for row in ids]}
