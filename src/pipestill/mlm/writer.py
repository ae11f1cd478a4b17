"""Writing a cache of soft targets like the logit cache: shard by shard, the card last.

A killed run resumes at the next shard and ends with the same bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipestill.choices import Choice
from pipestill.mlm.card import FORMAT_VERSION, IDS, MlmCacheCard, MlmCacheIdentity, MlmShardCard
from pipestill.shards import Arrays, Written, as_stored, write_cache


class MaskedOutputs(NamedTuple):
    """A teacher's outputs for some rows: int32 `[row]`, then `[masked, k]` twice and `[masked, hidden]`."""

    num_masked: np.ndarray
    top_ids: np.ndarray
    top_log_probabilities: np.ndarray
    hidden: np.ndarray


def write_mlm_cache(
    *,
    out: Path,
    scratch: Path,
    identity: MlmCacheIdentity,
    shards: Iterable[tuple[Sequence[str], range]],
    ask: Callable[[range], MaskedOutputs],
    on_shard: Callable[[int], None],
    choices: tuple[Choice, ...] = (),
) -> Written[MlmCacheCard]:
    """Run a teacher over rows and keep its outputs.

    Args:
        out: folder of the finished cache; replaced.
        scratch: folder that survives a kill.
        identity: identity of the cache to write.
        shards: content ids and row numbers, shard by shard.
        ask: function that runs the teacher.
        on_shard: callback that receives the number of rows after each shard.
        choices: values chosen for `auto` settings, for the card.

    Raises:
        CacheError: the teacher's outputs are not finite in the storage type.
    """

    def whole(cards: tuple[MlmShardCard, ...]) -> MlmCacheCard:
        size = sum((scratch / name).stat().st_size for card in cards for name in card.sha256)
        return MlmCacheCard(
            format_version=FORMAT_VERSION,
            identity=identity,
            mass_kept_fraction=sum(card.mass_kept for card in cards) / identity.num_masked_tokens,
            bytes_per_masked_token=size / identity.num_masked_tokens,
            shards=cards,
            choices=choices,
        )

    return write_cache(
        out=out,
        scratch=scratch,
        identity=identity,
        ids=IDS,
        shards=shards,
        compute=lambda rows: _arrays(ask(rows), identity),
        card_of=_card_of,
        kind=MlmShardCard,
        whole=whole,
        on_shard=on_shard,
    )


def _arrays(outputs: MaskedOutputs, identity: MlmCacheIdentity) -> Arrays:
    """Return the arrays of a shard beside the content ids, in their storage types."""
    dtype = identity.storage_dtype
    shape = (int(outputs.num_masked.sum()),)
    next_step = "set storage_dtype of mlm_cache to float32, and check the teacher's dev scores"
    return {"num_masked": outputs.num_masked.astype(np.int32)} | {
        name: as_stored(f"{name} of the teacher", getattr(outputs, name), shape, kind, next_step=next_step)
        for name, kind in (("top_ids", "int32"), ("top_log_probabilities", dtype), ("hidden", dtype))
    }


def _card_of(arrays: Arrays, digests: dict[str, str]) -> MlmShardCard:
    mass = np.exp(arrays["top_log_probabilities"].astype(np.float64)).sum()
    return MlmShardCard(num_rows=len(arrays[IDS]), mass_kept=float(mass), sha256=digests)
