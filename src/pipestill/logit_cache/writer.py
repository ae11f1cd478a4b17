"""Writing a logit cache shard by shard: a killed run resumes at the next shard and ends with the same bytes."""

import io
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pipestill.errors import CacheError, RecordError
from pipestill.fingerprint import CONTENT_ID_BYTES, sha256_bytes, sha256_file, sha256_json
from pipestill.logit_cache.card import (
    CARD_FILE,
    FORMAT_VERSION,
    CacheCard,
    CacheIdentity,
    ShardCard,
    ids_file,
    logits_file,
)
from pipestill.records import read_record, write_bytes, write_json

Forward = Callable[[Sequence[str]], Float[np.ndarray, "batch label"]]
"""Texts to the teacher's logits, float32, in order."""


def write_logit_cache(
    *,
    out: Path,
    scratch: Path,
    identity: CacheIdentity,
    shards: Iterable[tuple[list[str], list[str]]],
    forward: Forward,
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
        forward: the teacher.
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
            logits = _check_logits(forward(texts), rows=len(texts), labels=len(identity.labels))
            card = _write_shard(scratch, number, key, ids, logits.astype(identity.storage_dtype))
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


def _write_shard(folder: Path, number: int, key: str, ids: np.ndarray, logits: np.ndarray) -> ShardCard:
    contents = {ids_file(number): _npy(ids), logits_file(number): _npy(logits)}
    for name, content in contents.items():
        write_bytes(folder / name, content)
    card = ShardCard(
        num_rows=len(ids),
        ids_sha256=sha256_bytes(contents[ids_file(number)]),
        logits_sha256=sha256_bytes(contents[logits_file(number)]),
    )
    write_json(_shard_card(folder, number, key), card)
    return card


def _finished_shard(folder: Path, number: int, key: str, ids: np.ndarray) -> ShardCard | None:
    """The card of a shard that an earlier run of the same cache finished, or None."""
    try:
        card = read_record(_shard_card(folder, number, key), ShardCard)
    except RecordError:
        return None
    files = (folder / ids_file(number), folder / logits_file(number))
    if not all(file.is_file() for file in files) or card.ids_sha256 != sha256_bytes(_npy(ids)):
        return None
    same = card.ids_sha256 == sha256_file(files[0]) and card.logits_sha256 == sha256_file(files[1])
    return card if same else None


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
    for number in range(len(card.shards)):
        for name in (ids_file(number), logits_file(number)):
            shutil.move(scratch / name, out / name)
    write_json(out / CARD_FILE, card)
