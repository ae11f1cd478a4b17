"""Reading a logit cache: verified when opened, memory-mapped, joined by content id and never by position."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from pipestill.errors import CacheError
from pipestill.logit_cache.card import FORMAT_VERSION, IDS, LOGITS, TOKENS, CacheCard, CacheIdentity, site_array
from pipestill.logit_cache.writer import Forward
from pipestill.shards import Arrays, check_cache, check_difference, open_arrays, pack_ids, read_card, row_ends

REDO = "run `dvc repro cache_logits` to write it again"


def read_stored(folder: Path) -> CacheCard:
    """Read the identity that a cache's card states.

    Raises:
        CorruptCacheError: the card is missing, since the cache was not finished.
    """
    return read_card(folder, CacheCard, redo=REDO)


class LogitCache:
    """The teacher's logits by content id. Made by `open`.

    Attributes:
        card: identity and checksums.
        ids: content ids shard by shard, uint8 `[row, 16]`, memory-mapped.
    """

    def __init__(self, card: CacheCard, shards: list[Arrays]) -> None:
        self.card = card
        self._shards = shards
        self._ends = [row_ends(shard[TOKENS]) for shard in shards] if card.identity.features else []
        # The first half of an id, as a number, finds the row; the whole id then confirms it.
        self.ids = [shard[IDS] for shard in shards]
        self._keys = [ids.view(">u8")[:, 0] for ids in self.ids]
        self._first_keys = np.array([keys[0] for keys in self._keys], dtype=np.uint64)
        self._starts = np.cumsum([0, *(len(ids) for ids in self.ids)])

    @classmethod
    def open(cls, folder: Path, expected: CacheIdentity) -> "LogitCache":
        """Open a cache that is exactly the one expected.

        Args:
            folder: folder of the cache.
            expected: identity that it must have; see `identify`.

        Raises:
            StaleCacheError: its identity differs; the message names the difference.
            CorruptCacheError: a file is missing, truncated or changed.
        """
        card = read_stored(folder)
        check_cache(folder, card, expected, FORMAT_VERSION, redo=REDO)
        features = card.identity.features
        names = [IDS, LOGITS, *([TOKENS] if features else []), *map(site_array, features)]
        return cls(card, open_arrays(folder, card, names))

    def positions(self, content_ids: Sequence[str]) -> Int[np.ndarray, " row"]:
        """Find the position of each content id in the cache.

        Raises:
            CacheError: an id is not in the cache.
        """
        packed = pack_ids(content_ids)
        keys = packed.view(">u8")[:, 0].astype(np.uint64)
        shards = np.maximum(np.searchsorted(self._first_keys, keys, side="right") - 1, 0)
        positions = np.empty(len(packed), dtype=np.int64)
        found = np.zeros(len(packed), dtype=bool)
        for shard in np.unique(shards):
            rows = np.flatnonzero(shards == shard)
            places = np.minimum(np.searchsorted(self._keys[shard], keys[rows]), len(self._keys[shard]) - 1)
            found[rows] = (self.ids[shard][places] == packed[rows]).all(axis=1)
            positions[rows] = self._starts[shard] + places
        if not found.all():
            missing = [content_ids[row] for row in np.flatnonzero(~found)[:3]]
            raise CacheError(
                f"{int((~found).sum())} of {len(packed)} rows have no logits in the cache",
                found=f"among them {missing}",
                next_step=REDO,
            )
        return positions

    def at(self, positions: Int[np.ndarray, " row"]) -> Float[np.ndarray, "row label"]:
        """Return the logits at some positions, as float32 `[row, label]`, in the order asked for."""
        shards = np.searchsorted(self._starts, positions, side="right") - 1
        logits = np.empty((len(positions), len(self.card.identity.labels)), dtype=np.float32)
        for shard in np.unique(shards):
            rows = np.flatnonzero(shards == shard)
            logits[rows] = self._shards[shard][LOGITS][positions[rows] - self._starts[shard]]
        return logits

    def features_at(
        self, positions: Int[np.ndarray, " row"]
    ) -> tuple[Int[np.ndarray, " row"], dict[str, Float[np.ndarray, "row token hidden"]]]:
        """Return the tokens of each row, and float32 features by site, 0 beyond a row's tokens, in the given order."""
        shards = np.searchsorted(self._starts, positions, side="right") - 1
        bounds = [
            (shard, *self._ends[shard][row : row + 2])
            for shard, row in zip(shards, positions - self._starts[shards], strict=True)
        ]
        num_tokens = np.array([end - begin for _, begin, end in bounds])
        found: dict[str, np.ndarray] = {}
        for site in self.card.identity.features:
            arrays = [shard[site_array(site)] for shard in self._shards]
            padded = np.zeros((len(positions), num_tokens.max(), arrays[0].shape[1]), dtype=np.float32)
            for number, (shard, begin, end) in enumerate(bounds):
                padded[number, : end - begin] = arrays[shard][begin:end]
            found[site] = padded
        return num_tokens, found

    def lookup(self, content_ids: Sequence[str]) -> Float[np.ndarray, "row label"]:
        """Look up the logits of some rows, as float32 `[row, label]`, in the order asked for.

        Raises:
            CacheError: an id is not in the cache.
        """
        return self.at(self.positions(content_ids))


def check_sample(
    cache: LogitCache, content_ids: Sequence[str], texts: Sequence[str], forward: Forward, *, tolerance: float
) -> float:
    """Run the teacher over some rows again and compare, which finds logits assigned to the wrong rows.

    Args:
        cache: open logit cache.
        content_ids: content ids of the rows to check.
        texts: texts of these rows.
        forward: function that computes the teacher's logits.
        tolerance: largest absolute logit difference allowed, for rounding and the effect of batches.

    Returns:
        The largest absolute logit difference.

    Raises:
        StaleCacheError: the difference is above the tolerance.
    """
    difference = float(np.abs(cache.lookup(content_ids) - forward(texts)).max())
    check_difference("cached logits", difference, len(texts), tolerance, redo=REDO)
    return difference
