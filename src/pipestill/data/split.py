"""Splitting by the hash of the text: a row's place depends on the row alone."""

import hashlib

from pipestill.data.cleaning import normalise


def text_key(text: str) -> bytes:
    """Address a text up to case, width and white space: BLAKE2b-128 of the normalised text."""
    return hashlib.blake2b(normalise(text).encode("utf-8"), digest_size=16).digest()


def split_position(key: bytes, seed: int) -> float:
    """Where in [0, 1) a text falls; the same for all texts that normalise alike, so that a split never parts them."""
    digest = hashlib.blake2b(key, digest_size=8, salt=seed.to_bytes(16, "big", signed=True)).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def split_of(position: float, *, dev_fraction: float, test_fraction: float) -> str:
    """The split of a row of one pool.

    Args:
        position: see `split_position`.
        dev_fraction: share of the pool; 0 where the source brings its own dev rows.
        test_fraction: share of the pool; 0 where the source brings its own test rows.

    Returns:
        `test` below test_fraction, `dev` in the dev_fraction above it, `train` beyond.
    """
    if position < test_fraction:
        return "test"
    return "dev" if position < test_fraction + dev_fraction else "train"
