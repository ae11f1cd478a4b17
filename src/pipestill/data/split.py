"""Splitting by the hash of the text, so that a row's split depends on the row alone."""

import hashlib
from collections.abc import Mapping

from pipestill.data.cleaning import normalise


def text_key(text: str) -> bytes:
    """Hash a text regardless of case, width and white space: BLAKE2b-128 of the normalised text."""
    return hashlib.blake2b(normalise(text).encode("utf-8"), digest_size=16).digest()


def split_position(key: bytes, seed: int) -> float:
    """Map a text's hash to [0, 1); texts that normalise alike get one position, and so one split."""
    digest = hashlib.blake2b(key, digest_size=8, salt=seed.to_bytes(16, "big", signed=True)).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def split_of(position: float, *, dev_fraction: float, test_fraction: float) -> str:
    """Choose the split of a row of the pool.

    Args:
        position: hash of the row's text, see `split_position`.
        dev_fraction: share of the pool; 0 where the source has a dev file.
        test_fraction: share of the pool; 0 where the source has a test file.

    Returns:
        `test` below test_fraction, `dev` in the dev_fraction above it, `train` beyond.
    """
    if position < test_fraction:
        return "test"
    return "dev" if position < test_fraction + dev_fraction else "train"


MIN_LABELS = 2
"""Labels that a data set must have."""


def rare_below(num_rows_by_label: Mapping[str, int], rare_label_rows: int) -> int:
    """Find the number of rows below which a label stays whole in train.

    In a few-shot set nearly every label would be rare and stay whole in train, which leaves nothing to cut; there only
    a label of one row counts as rare.

    Args:
        num_rows_by_label: rows of each label in the pool.
        rare_label_rows: limit set in params.yaml.

    Returns:
        The rule; at most 2 where fewer than two labels, or labels with less than half of the rows, come up to it.
    """
    common = [count for count in num_rows_by_label.values() if count >= rare_label_rows]
    few = len(common) < MIN_LABELS or 2 * sum(common) < sum(num_rows_by_label.values())
    return min(rare_label_rows, 2) if few else rare_label_rows
