"""Writing a cache of soft targets like the logit cache: shard by shard, the card last.

A killed run resumes at the next shard and ends with the same bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipestill.choices import Choice
from pipestill.errors import CacheError
from pipestill.mlm.card import FORMAT_VERSION, MlmCacheCard, MlmCacheIdentity, MlmShardCard, shard_file
from pipestill.shards import ShardWriter, pack_ids


class Told(NamedTuple):
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
    shards: Iterable[tuple[range, Sequence[str]]],
    ask: Callable[[range], Told],
    on_shard: Callable[[int], None],
    choices: tuple[Choice, ...] = (),
) -> MlmCacheCard:
    """Run a teacher over rows and keep its outputs.

    Shards are written to `scratch` first, each with a card of its own as its last file, and moved to `out` together. A
    shard already in `scratch` is used again when its identity, its rows and its checksums all agree.

    Args:
        out: folder of the finished cache; replaced.
        scratch: folder that survives a kill.
        identity: identity of the cache to write.
        shards: row numbers and content ids, shard by shard.
        ask: function that runs the teacher.
        on_shard: callback that receives the number of rows after each shard.
        choices: values chosen for `auto` settings, for the card.

    Raises:
        CacheError: the teacher's outputs are not finite in the storage type.
    """
    writer = ShardWriter(scratch, identity, MlmShardCard)
    cards: list[MlmShardCard] = []
    for number, (rows, content_ids) in enumerate(shards):
        ids = pack_ids(content_ids)
        card = writer.finished(number, ids)
        if card is None:
            told = _as_stored(ask(rows), identity)
            arrays = {shard_file(number, name): array for name, array in {"content_ids": ids, **told._asdict()}.items()}
            card = MlmShardCard(
                num_rows=len(ids),
                mass_kept=float(np.exp(told.top_log_probabilities.astype(np.float64)).sum()),
                sha256={name: writer.write(name, array) for name, array in arrays.items()},
            )
            writer.finish(number, card)
        cards.append(card)
        on_shard(len(rows))
    size = sum((scratch / name).stat().st_size for card in cards for name in card.sha256)
    whole = MlmCacheCard(
        format_version=FORMAT_VERSION,
        identity=identity,
        mass_kept_fraction=sum(card.mass_kept for card in cards) / identity.num_masked_tokens,
        bytes_per_masked_token=size / identity.num_masked_tokens,
        shards=tuple(cards),
        choices=choices,
    )
    writer.publish(out, whole)
    return whole


def _as_stored(told: Told, identity: MlmCacheIdentity) -> Told:
    with np.errstate(over="ignore"):  # an overflow is refused below
        kept = told._replace(
            num_masked=told.num_masked.astype(np.int32),
            top_ids=told.top_ids.astype(np.int32),
            top_log_probabilities=told.top_log_probabilities.astype(identity.storage_dtype),
            hidden=told.hidden.astype(identity.storage_dtype),
        )
    finite = bool(np.isfinite(kept.top_log_probabilities).all() and np.isfinite(kept.hidden).all())
    if not finite or len(kept.top_ids) != kept.num_masked.sum():
        raise CacheError(
            "the teacher's outputs at masked positions cannot be cached",
            found=f"{len(kept.top_ids)} positions, finite as {identity.storage_dtype}: {finite}",
            expected=f"{kept.num_masked.sum()} positions, all finite",
            next_step="set storage_dtype of mlm_cache to float32, and check the teacher's dev scores",
        )
    return kept
