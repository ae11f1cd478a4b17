"""Writing a logit cache shard by shard: a killed run resumes at the next shard and ends with the same bytes."""

import io
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from pipestill.errors import CacheError, RecordError
from pipestill.fingerprint import CONTENT_ID_BYTES, sha256_bytes, sha256_file, sha256_json
from pipestill.logit_cache.card import (
    CARD_FILE,
    FORMAT_VERSION,
    CacheCard,
    CacheIdentity,
    ShardCard,
    checksums,
    feature_file,
    ids_file,
    logits_file,
    tokens_file,
)
from pipestill.records import read_record, write_bytes, write_json


@dataclass(frozen=True)
class Told:
    """What a teacher says of some texts.

    Attributes:
        logits: float32 `[row, label]`.
        num_tokens: of each row, int32 `[row]`.
        features: by site, `[token, hidden]`, the rows one after another.
    """

    logits: Float[np.ndarray, "row label"]
    num_tokens: Int[np.ndarray, " row"]
    features: Mapping[str, Float[np.ndarray, "token hidden"]]


Forward = Callable[[Sequence[str]], Float[np.ndarray, "batch label"]]
"""Texts to the teacher's logits, float32, in order."""


def write_logit_cache(
    *,
    out: Path,
    scratch: Path,
    identity: CacheIdentity,
    shards: Iterable[tuple[list[str], list[str]]],
    forward: Callable[[Sequence[str]], Told | Float[np.ndarray, "row label"]],
    on_shard: Callable[[int], None],
) -> CacheCard:
    """Run a teacher over rows and keep its logits.

    Shards are written to `scratch` first, each with a card of its own as its last file, and moved to `out` together.
    A shard already in `scratch` is used again when its identity, its rows and its checksums all agree.

    Args:
        out: folder of the finished cache; replaced.
        scratch: folder that survives a kill.
        identity: what the cache will be.
        shards: content ids and texts, shard by shard, ids ascending over all shards.
        forward: the teacher: its logits, with its features where the identity names sites.
        on_shard: told the number of rows after each shard.

    Returns:
        The card of the finished cache.

    Raises:
        CacheError: ids are not ascending, or the teacher returns logits of another shape or not finite.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    key = sha256_json(identity.model_dump(mode="json"))[:16]
    cards: list[ShardCard] = []
    last = b""
    for number, (content_ids, texts) in enumerate(shards):
        ids = _pack_ids(content_ids, after=last)
        last = ids[-1].tobytes()
        card = _finished_shard(scratch, number, key, ids)
        if card is None:
            told = forward(texts)
            told = Told(told, np.zeros(len(told), dtype=np.int32), {}) if isinstance(told, np.ndarray) else told
            logits = _check_logits(told.logits, rows=len(texts), labels=len(identity.labels))
            arrays = {logits_file(number): logits.astype(identity.storage_dtype), **_features(number, told, identity)}
            card = _write_shard(scratch, number, key, ids, arrays)
        cards.append(card)
        on_shard(len(texts))
    whole = CacheCard(format_version=FORMAT_VERSION, identity=identity, shards=tuple(cards))
    _move(scratch, out, whole)
    return whole


def _pack_ids(content_ids: Sequence[str], *, after: bytes) -> np.ndarray:
    """Content ids as uint8 `[row, 16]`; ascending, the first above `after`."""
    packed = [bytes.fromhex(content_id) for content_id in content_ids]
    for earlier, later in zip([after, *packed], packed, strict=False):
        if later <= earlier:
            raise CacheError(
                "rows of a logit cache are not in ascending order of content id",
                found=f"{later.hex()} after {earlier.hex()}",
                expected="each content id once, sorted",
            )
    return np.frombuffer(b"".join(packed), dtype=np.uint8).reshape(-1, CONTENT_ID_BYTES)


def _check_logits(logits: np.ndarray, *, rows: int, labels: int) -> np.ndarray:
    if logits.shape != (rows, labels) or not np.isfinite(logits).all():
        raise CacheError(
            "the teacher's logits cannot be cached",
            found=f"shape {logits.shape}, finite: {bool(np.isfinite(logits).all())}",
            expected=f"shape {(rows, labels)}, all finite",
            next_step="look at the teacher's dev figures; train it with precision float32 if they are poor",
        )
    return logits


def _features(number: int, told: Told, identity: CacheIdentity) -> dict[str, np.ndarray]:
    """The arrays of a shard beside its logits, by file."""
    if not identity.features:
        return {}
    arrays = {tokens_file(number): told.num_tokens.astype(np.int32)}
    for site in identity.features:
        with np.errstate(over="ignore"):  # what overflows is refused below
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


def _write_shard(folder: Path, number: int, key: str, ids: np.ndarray, arrays: Mapping[str, np.ndarray]) -> ShardCard:
    digests: dict[str, str] = {}
    for name, array in {ids_file(number): ids, **arrays}.items():
        content = _npy(array)
        write_bytes(folder / name, content)
        digests[name] = sha256_bytes(content)
    card = ShardCard(
        num_rows=len(ids),
        ids_sha256=digests.pop(ids_file(number)),
        logits_sha256=digests.pop(logits_file(number)),
        features_sha256=digests,
    )
    write_json(_shard_card(folder, number, key), card)
    return card


def _finished_shard(folder: Path, number: int, key: str, ids: np.ndarray) -> ShardCard | None:
    """The card of a shard that an earlier run of the same cache finished, or None."""
    try:
        card = read_record(_shard_card(folder, number, key), ShardCard)
    except RecordError:
        return None
    files = checksums(number, card)
    if not all((folder / name).is_file() for name in files) or card.ids_sha256 != sha256_bytes(_npy(ids)):
        return None
    return card if all(sha256_file(folder / name) == digest for name, digest in files.items()) else None


def _shard_card(folder: Path, number: int, key: str) -> Path:
    return folder / f"{number:05d}.{key}.json"


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _move(scratch: Path, out: Path, card: CacheCard) -> None:
    """Put the shards and the card of the whole in place; the card comes last."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for number, shard in enumerate(card.shards):
        for name in checksums(number, shard):
            shutil.move(scratch / name, out / name)
    write_json(out / CARD_FILE, card)
