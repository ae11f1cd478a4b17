"""Reading a cache of soft targets: verified when opened, memory-mapped, and its rows held against the table's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipestill.errors import CorruptCacheError, RecordError, StaleCacheError
from pipestill.fingerprint import sha256_file
from pipestill.mlm.card import (
    ARRAYS,
    CARD_FILE,
    FORMAT_VERSION,
    MlmCacheCard,
    MlmCacheIdentity,
    shard_file,
)
from pipestill.mlm.rows import CachedRow
from pipestill.mlm.writer import pack_ids
from pipestill.records import read_record

REDO = "run `dvc repro mlm_cache` in pipelines/mlm to write it anew"


def read_stored(folder: Path) -> MlmCacheCard:
    """What a cache says it is.

    Raises:
        CorruptCacheError: it has no card: it was not finished.
    """
    try:
        return read_record(folder / CARD_FILE, MlmCacheCard)
    except RecordError as error:
        raise CorruptCacheError(f"{folder} is no whole cache", found=error.what, next_step=REDO) from error


class MlmCache:
    """A teacher's soft targets and hidden states at the masked positions of a table, by row. Made by `open`.

    Attributes:
        card: identity and checksums.
    """

    def __init__(self, card: MlmCacheCard, shards: list[dict[str, np.ndarray]]) -> None:
        self.card = card
        self._shards = shards
        self._starts = np.cumsum([0, *(shard.num_rows for shard in card.shards)])
        self._ends = [np.concatenate([[0], np.cumsum(shard["num_masked"], dtype=np.int64)]) for shard in shards]

    @classmethod
    def open(cls, folder: Path, expected: MlmCacheIdentity, content_ids: Sequence[str]) -> "MlmCache":
        """Open a cache that is exactly the one expected.

        Args:
            folder: where it lies.
            expected: what it has to be; see `identify`.
            content_ids: of the table's rows, in order.

        Raises:
            StaleCacheError: it belongs to something else, or its rows are in another order; the message says what.
            CorruptCacheError: a file is missing, truncated or changed.
        """
        card = read_stored(folder)
        if card.format_version != FORMAT_VERSION:
            raise StaleCacheError(
                f"{folder} has another format", found=card.format_version, expected=FORMAT_VERSION, next_step=REDO
            )
        if differences := card.identity.differences(expected):
            raise StaleCacheError(
                f"the cache {folder} belongs to something else",
                found="".join(f"\n    {line}" for line in differences),
                next_step=REDO,
            )
        _verify(folder, card)
        shards = [
            {name: np.load(folder / shard_file(number, name), mmap_mode="r") for name in ARRAYS}
            for number in range(len(card.shards))
        ]
        found = np.concatenate([shard["content_ids"] for shard in shards])
        if not np.array_equal(found, pack_ids(content_ids)):
            raise StaleCacheError(f"the rows of the cache {folder} are not the table's, in its order", next_step=REDO)
        return cls(card, shards)

    def row(self, number: int) -> CachedRow:
        """What the teacher said of one row of the table."""
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        begin, end = self._ends[shard][number - self._starts[shard] :][:2]
        arrays = self._shards[shard]
        return CachedRow(*(arrays[name][begin:end] for name in CachedRow._fields))


def _verify(folder: Path, card: MlmCacheCard) -> None:
    for shard in card.shards:
        for name, digest in shard.sha256.items():
            path = folder / name
            found = sha256_file(path) if path.is_file() else "no file"
            if found != digest:
                raise CorruptCacheError(
                    f"{path} is not what was written", found=found, expected=f"sha256 {digest}", next_step=REDO
                )
