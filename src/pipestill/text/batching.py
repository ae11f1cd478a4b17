"""Batches of rows of similar length, which need little padding."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

BATCHES_PER_BUCKET = 50
"""Batches that are sorted by length together: enough to reduce padding, few enough to keep the order random."""


def length_sorted_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Split rows into batches, longest first, for inference.

    Args:
        lengths: tokens in each row.
        batch_size: rows in a batch; the last batch may be smaller.

    Returns:
        Row numbers, batch by batch. Longest first: a batch that does not fit in memory fails at once.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def length_bucketed_order(lengths: Sequence[int], batch_size: int, seed: int) -> Iterator[int]:
    """Order rows at random for training, with similar lengths in each consecutive `batch_size` rows.

    Rows are shuffled, cut into buckets of `BATCHES_PER_BUCKET` batches, sorted by length within a bucket and cut into
    batches, and the batches are shuffled. Only the last batch may be smaller than `batch_size`.

    Args:
        lengths: tokens in each row.
        batch_size: rows in a batch.
        seed: random seed; the order is a function of lengths, batch size and seed only.

    Yields:
        Every row number once.
    """
    generator = np.random.default_rng(seed)
    tokens = np.asarray(lengths)
    shuffled = generator.permutation(len(tokens))
    bucket = batch_size * BATCHES_PER_BUCKET
    batches: list[np.ndarray] = []
    for start in range(0, len(shuffled), bucket):
        rows = shuffled[start : start + bucket]
        rows = rows[np.argsort(tokens[rows], kind="stable")]
        batches += [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    whole = [batch for batch in batches if len(batch) == batch_size]
    for position in generator.permutation(len(whole)):
        yield from whole[position].tolist()
    for batch in batches:
        if len(batch) < batch_size:
            yield from batch.tolist()


def collate(rows: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, Int[Tensor, "batch token"]]:
    """Pad rows of token ids to the longest of them.

    Args:
        rows: token ids of each row.
        pad_token_id: padding id of the tokenizer.

    Returns:
        `input_ids` and `attention_mask`, both int64 `[batch, token]`; the mask is 1 on tokens and 0 on padding.
    """
    longest = max(len(row) for row in rows)
    input_ids = torch.full((len(rows), longest), pad_token_id, dtype=torch.long)
    attention_mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for position, row in enumerate(rows):
        input_ids[position, : len(row)] = torch.as_tensor(row, dtype=torch.long)
        attention_mask[position, : len(row)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
