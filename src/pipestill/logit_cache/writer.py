"""Writing a logit cache shard by shard: a killed run resumes at the next shard and ends with the same bytes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from pipestill.choices import Choice
from pipestill.errors import CacheError
from pipestill.logit_cache.card import (
    FORMAT_VERSION,
    CacheCard,
    CacheIdentity,
    ShardCard,
    feature_file,
    ids_file,
    logits_file,
    tokens_file,
)
from pipestill.shards import ShardWriter, pack_ids


@dataclass(frozen=True)
class Told:
    """A teacher's outputs for some texts.

    Attributes:
        logits: logits in float32 `[row, label]`.
        num_tokens: tokens of each row, int32 `[row]`.
        features: features by site, `[token, hidden]`, the rows concatenated.
    """

    logits: Float[np.ndarray, "row label"]
    num_tokens: Int[np.ndarray, " row"]
    features: Mapping[str, Float[np.ndarray, "token hidden"]]


Forward = Callable[[Sequence[str]], Float[np.ndarray, "batch label"]]
"""Function from texts to the teacher's logits, float32, in order."""


def write_logit_cache(
    *,
    out: Path,
    scratch: Path,
    identity: CacheIdentity,
    shards: Iterable[tuple[list[str], list[str]]],
    forward: Callable[[Sequence[str]], Told | Float[np.ndarray, "row label"]],
    on_shard: Callable[[int], None],
    choices: tuple[Choice, ...] = (),
) -> CacheCard:
    """Run a teacher over rows and keep its logits.

    Shards are written to `scratch` first, each with a card of its own as its last file, and moved to `out` together.
    A shard already in `scratch` is used again when its identity, its rows and its checksums all agree.

    Args:
        out: folder of the finished cache; replaced.
        scratch: folder that survives a kill.
        identity: identity of the cache to write.
        shards: content ids and texts, shard by shard, ids ascending over all shards.
        forward: function that computes the teacher's logits, with its features where the identity names sites.
        on_shard: callback that receives the number of rows after each shard.
        choices: values chosen for `auto` settings, for the card.

    Returns:
        The card of the finished cache.

    Raises:
        CacheError: ids are not ascending, or the teacher returns logits of another shape or not finite.
    """
    writer = ShardWriter(scratch, identity, ShardCard)
    cards: list[ShardCard] = []
    last = b""
    for number, (content_ids, texts) in enumerate(shards):
        ids = _pack_ascending(content_ids, after=last)
        last = ids[-1].tobytes()
        card = writer.finished(number, ids)
        if card is None:
            told = forward(texts)
            told = Told(told, np.zeros(len(told), dtype=np.int32), {}) if isinstance(told, np.ndarray) else told
            logits = _check_logits(told.logits, rows=len(texts), labels=len(identity.labels))
            card = ShardCard(
                num_rows=len(ids),
                ids_sha256=writer.write(ids_file(number), ids),
                logits_sha256=writer.write(logits_file(number), logits.astype(identity.storage_dtype)),
                features_sha256={
                    name: writer.write(name, array) for name, array in _features(number, told, identity).items()
                },
            )
            writer.finish(number, card)
        cards.append(card)
        on_shard(len(texts))
    whole = CacheCard(format_version=FORMAT_VERSION, identity=identity, shards=tuple(cards), choices=choices)
    writer.publish(out, whole)
    return whole


def _pack_ascending(content_ids: Sequence[str], *, after: bytes) -> np.ndarray:
    """Pack content ids to uint8 `[row, 16]`; they must ascend, the first above `after`."""
    packed = pack_ids(content_ids)
    ids = [row.tobytes() for row in packed]
    for earlier, later in zip([after, *ids], ids, strict=False):
        if later <= earlier:
            raise CacheError(
                "rows of a logit cache are not in ascending order of content id",
                found=f"{later.hex()} after {earlier.hex()}",
                expected="each content id once, sorted",
            )
    return packed


def _check_logits(logits: np.ndarray, *, rows: int, labels: int) -> np.ndarray:
    if logits.shape != (rows, labels) or not np.isfinite(logits).all():
        raise CacheError(
            "the teacher's logits cannot be cached",
            found=f"shape {logits.shape}, finite: {bool(np.isfinite(logits).all())}",
            expected=f"shape {(rows, labels)}, all finite",
            next_step="check the teacher's dev scores; train it with precision float32 if they are poor",
        )
    return logits


def _features(number: int, told: Told, identity: CacheIdentity) -> dict[str, np.ndarray]:
    """Return the arrays of a shard beside its logits, by file."""
    if not identity.features:
        return {}
    arrays = {tokens_file(number): told.num_tokens.astype(np.int32)}
    for site in identity.features:
        with np.errstate(over="ignore"):  # an overflow is refused below
            stored = told.features[site].astype(identity.storage_dtype)
        if len(stored) != told.num_tokens.sum() or not np.isfinite(stored).all():
            raise CacheError(
                f"the teacher's features at {site} cannot be cached",
                found=f"{len(stored)} tokens, finite as {stored.dtype}: {bool(np.isfinite(stored).all())}",
                expected=f"{told.num_tokens.sum()} tokens, all finite",
                next_step="set storage_dtype of cache_logits to float32",
            )
        arrays[feature_file(number, site)] = stored
    return arrays
