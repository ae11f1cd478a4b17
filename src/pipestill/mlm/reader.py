"""Reading a cache of soft targets: verified when opened, memory-mapped, and its rows compared with the table's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipestill.errors import StaleCacheError
from pipestill.mlm.card import ARRAYS, FORMAT_VERSION, IDS, MlmCacheCard, MlmCacheIdentity
from pipestill.mlm.rows import CachedRow
from pipestill.shards import Arrays, check_cache, open_arrays, pack_ids, read_card, row_ends

REDO = "run `dvc repro mlm_cache` in pipelines/mlm to write it again"


def read_stored(folder: Path) -> MlmCacheCard:
    """Read the identity that a cache's card states.

    Raises:
        CorruptCacheError: the card is missing, since the cache was not finished.
    """
    return read_card(folder, MlmCacheCard, redo=REDO)


class MlmCache:
    """A teacher's soft targets and hidden states at the masked positions of a table, by row. Made by `open`.

    Attributes:
        card: identity and checksums.
    """

    def __init__(self, card: MlmCacheCard, shards: list[Arrays]) -> None:
        self.card = card
        self._shards = shards
        self._starts = np.cumsum([0, *(shard.num_rows for shard in card.shards)])
        self._ends = [row_ends(shard["num_masked"]) for shard in shards]

    @classmethod
    def open(cls, folder: Path, expected: MlmCacheIdentity, content_ids: Sequence[str]) -> "MlmCache":
        """Open a cache that is exactly the one expected.

        Args:
            folder: folder of the cache.
            expected: identity that it must have; see `identify`.
            content_ids: content ids of the table's rows, in order.

        Raises:
            StaleCacheError: its identity or the order of its rows differs; the message names the difference.
            CorruptCacheError: a file is missing, truncated or changed.
        """
        card = read_stored(folder)
        check_cache(folder, card, expected, FORMAT_VERSION, redo=REDO)
        shards = open_arrays(folder, card, ARRAYS)
        found = np.concatenate([shard[IDS] for shard in shards])
        if not np.array_equal(found, pack_ids(content_ids)):
            raise StaleCacheError(
                f"the rows of the cache {folder} differ from the table's, or are in another order", next_step=REDO
            )
        return cls(card, shards)

    def row(self, number: int) -> CachedRow:
        """Return the teacher's outputs for one row of the table."""
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        begin, end = self._ends[shard][number - self._starts[shard] :][:2]
        arrays = self._shards[shard]
        return CachedRow(*(arrays[name][begin:end] for name in CachedRow._fields))
