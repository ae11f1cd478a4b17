"""Writing a cache of soft targets, by the principles of the logit cache: shard by shard, the card last.

A killed run resumes at the next shard and ends with the same bytes.
"""

import io
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipestill.errors import CacheError, RecordError
from pipestill.fingerprint import CONTENT_ID_BYTES, sha256_bytes, sha256_file, sha256_json
from pipestill.mlm.card import CARD_FILE, FORMAT_VERSION, MlmCacheCard, MlmCacheIdentity, MlmShardCard, shard_file
from pipestill.records import read_record, write_bytes, write_json


class Told(NamedTuple):
    """What a teacher says of some rows: int32 `[row]`, then `[masked, k]` twice and `[masked, hidden]`."""

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
) -> MlmCacheCard:
    """Ask a teacher about rows and keep its answers.

    Shards are written to `scratch` first, each with a card of its own as its last file, and moved to `out` together. A
    shard already in `scratch` is used again when its identity, its rows and its checksums all agree.

    Args:
        out: folder of the finished cache; replaced.
        scratch: folder that survives a kill.
        identity: what the cache will be.
        shards: row numbers and content ids, shard by shard.
        ask: the teacher.
        on_shard: told the number of rows after each shard.

    Raises:
        CacheError: the teacher's answers are not finite in the type that they are kept in.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    key = sha256_json(identity.model_dump(mode="json"))[:16]
    cards: list[MlmShardCard] = []
    for number, (rows, content_ids) in enumerate(shards):
        ids = pack_ids(content_ids)
        card = _finished(scratch, number, key, ids)
        if card is None:
            card = _write(scratch, number, key, ids, _as_stored(ask(rows), identity))
        cards.append(card)
        on_shard(len(rows))
    size = sum((scratch / name).stat().st_size for card in cards for name in card.sha256)
    whole = MlmCacheCard(
        format_version=FORMAT_VERSION,
        identity=identity,
        mass_kept_fraction=sum(card.mass_kept for card in cards) / identity.num_masked_tokens,
        bytes_per_masked_token=size / identity.num_masked_tokens,
        shards=tuple(cards),
    )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for card in cards:
        for name in card.sha256:
            shutil.move(scratch / name, out / name)
    write_json(out / CARD_FILE, whole)
    return whole


def pack_ids(content_ids: Sequence[str]) -> np.ndarray:
    """Content ids as uint8 `[row, 16]`."""
    return np.frombuffer(bytes.fromhex("".join(content_ids)), dtype=np.uint8).reshape(-1, CONTENT_ID_BYTES)


def _as_stored(told: Told, identity: MlmCacheIdentity) -> Told:
    with np.errstate(over="ignore"):  # what overflows is refused below
        kept = told._replace(
            num_masked=told.num_masked.astype(np.int32),
            top_ids=told.top_ids.astype(np.int32),
            top_log_probabilities=told.top_log_probabilities.astype(identity.storage_dtype),
            hidden=told.hidden.astype(identity.storage_dtype),
        )
    finite = bool(np.isfinite(kept.top_log_probabilities).all() and np.isfinite(kept.hidden).all())
    if not finite or len(kept.top_ids) != kept.num_masked.sum():
        raise CacheError(
            "the teacher's answers at masked positions cannot be cached",
            found=f"{len(kept.top_ids)} positions, finite as {identity.storage_dtype}: {finite}",
            expected=f"{kept.num_masked.sum()} positions, all finite",
            next_step="set storage_dtype of mlm_cache to float32; look at the teacher's dev figures",
        )
    return kept


def _write(folder: Path, number: int, key: str, ids: np.ndarray, told: Told) -> MlmShardCard:
    digests: dict[str, str] = {}
    for name, array in {"content_ids": ids, **told._asdict()}.items():
        content = _npy(array)
        write_bytes(folder / shard_file(number, name), content)
        digests[shard_file(number, name)] = sha256_bytes(content)
    mass = float(np.exp(told.top_log_probabilities.astype(np.float64)).sum())
    card = MlmShardCard(num_rows=len(ids), mass_kept=mass, sha256=digests)
    write_json(_card_file(folder, number, key), card)
    return card


def _finished(folder: Path, number: int, key: str, ids: np.ndarray) -> MlmShardCard | None:
    """The card of a shard that an earlier run of the same cache finished, or None."""
    try:
        card = read_record(_card_file(folder, number, key), MlmShardCard)
    except RecordError:
        return None
    if card.sha256.get(shard_file(number, "content_ids")) != sha256_bytes(_npy(ids)):
        return None
    whole = all((folder / name).is_file() and sha256_file(folder / name) == sha for name, sha in card.sha256.items())
    return card if whole else None


def _card_file(folder: Path, number: int, key: str) -> Path:
    return folder / f"{number:05d}.{key}.json"


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
