"""A cache in shards: arrays with checksums, published together, reused after a kill, verified when opened.

The logit cache and the cache of soft targets at masked positions are both stored this way; each defines its own arrays
and identity.
"""

import io
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from jaxtyping import UInt8

from pipestill.choices import Choice
from pipestill.errors import CacheError, CorruptCacheError, RecordError, StaleCacheError
from pipestill.fingerprint import CONTENT_ID_BYTES, sha256_bytes, sha256_file, sha256_json
from pipestill.records import Record, read_record, write_bytes, write_json

CARD_FILE = "card.json"
Arrays = dict[str, np.ndarray]
"""Arrays of a shard by name."""
StorageDtype = Literal["float16", "float32"]
_SHORT = 200
"""Characters of a value in one line of an error message."""


class Identity(Record):
    """Everything that the content of a cache depends on; a subclass names the fields."""

    def differences(self, other: Self) -> list[str]:
        """List the differing fields of two identities, one line per field."""
        fields = [(name, getattr(self, name), getattr(other, name)) for name in type(self).model_fields]
        return [f"{name}: {_short(mine)} is not {_short(theirs)}" for name, mine, theirs in fields if mine != theirs]


class Shard(Record):
    """The card of one shard: consecutive rows.

    Attributes:
        num_rows: rows in the shard.
        sha256: SHA-256 of each of its files, by name.
    """

    num_rows: int
    sha256: dict[str, str]


class Card(Record):
    """The content of card.json, beside the shards.

    Attributes:
        format_version: version of the files' format.
        identity: everything that the cache depends on.
        shards: cards of the shards, in order.
        choices: values chosen for `auto` settings, with reasons; the identity holds the values too.
    """

    format_version: int
    identity: Identity
    shards: tuple[Shard, ...]
    choices: tuple[Choice, ...] = ()


S = TypeVar("S", bound=Shard)
C = TypeVar("C", bound=Card)
T = TypeVar("T")


@dataclass(frozen=True)
class Written(Generic[C]):
    """The card of a finished cache, the rows computed in this run (fewer after a resume) and its seconds."""

    card: C
    num_computed_rows: int
    seconds: float


def write_cache(
    *,
    out: Path,
    scratch: Path,
    identity: Identity,
    ids: str,
    shards: Iterable[tuple[Sequence[str], T]],
    compute: Callable[[T], Arrays],
    card_of: Callable[[Arrays, dict[str, str]], S],
    kind: type[S],
    whole: Callable[[tuple[S, ...]], C],
    on_shard: Callable[[int], None],
) -> Written[C]:
    """Compute arrays shard by shard and publish them together.

    Shards are written to `scratch` first, each with a card of its own as its last file, which is named after the
    identity. A shard already in `scratch` is used again when its identity, its rows and its checksums all agree.

    Args:
        out: folder of the finished cache; replaced, with the card as its last file.
        scratch: folder that survives a kill.
        identity: identity of the cache to write.
        ids: name of the array of content ids.
        shards: content ids and the input of `compute`, shard by shard.
        compute: function that returns a shard's arrays by name.
        card_of: function from a shard's arrays, ids among them, and the SHA-256 of its files to the shard's card.
        kind: class of the shards' cards.
        whole: function from all cards to the card of the cache.
        on_shard: callback that receives the number of rows after each shard.
    """
    start = time.perf_counter()
    scratch.mkdir(parents=True, exist_ok=True)
    key = sha256_json(identity.model_dump(mode="json"))[:16]
    cards: list[S] = []
    num_computed_rows = 0
    for number, (content_ids, rows) in enumerate(shards):
        packed, file = pack_ids(content_ids), scratch / f"{number:05d}.{key}.json"
        card = _finished(file, packed, kind)
        if card is None:
            arrays = {ids: packed, **compute(rows)}
            contents = {shard_file(number, name): _npy(array) for name, array in arrays.items()}
            for name, content in contents.items():
                write_bytes(scratch / name, content)
            card = card_of(arrays, {name: sha256_bytes(content) for name, content in contents.items()})
            write_json(file, card)
            num_computed_rows += len(packed)
        cards.append(card)
        on_shard(len(packed))
    finished = whole(tuple(cards))
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for card in cards:
        for name in card.sha256:
            shutil.move(scratch / name, out / name)
    write_json(out / CARD_FILE, finished)
    return Written(finished, num_computed_rows, time.perf_counter() - start)


def _finished(file: Path, ids: UInt8[np.ndarray, "row byte"], kind: type[S]) -> S | None:
    """Return the card of a shard that an earlier run finished, if its ids and checksums are the same."""
    try:
        card = read_record(file, kind)
    except RecordError:
        return None
    paths = {file.parent / name: digest for name, digest in card.sha256.items()}
    same = all(path.is_file() and sha256_file(path) == digest for path, digest in paths.items())
    return card if same and sha256_bytes(_npy(ids)) in paths.values() else None


def as_stored(what: str, array: np.ndarray, shape: tuple[int, ...], dtype: str, *, next_step: str) -> np.ndarray:
    """Cast an array to its storage type.

    Args:
        what: name of the array in messages.
        array: numbers to store.
        shape: its expected shape, or the first axes of it.
        dtype: name of the storage type.
        next_step: next step where the array is refused.

    Raises:
        CacheError: the shape is another one, or a number is not finite in the storage type.
    """
    with np.errstate(over="ignore"):  # an overflow is refused below
        stored = array.astype(dtype)
    finite = bool(np.isfinite(stored).all())
    if stored.shape[: len(shape)] != shape or not finite:
        raise CacheError(
            f"{what} cannot be cached",
            found=f"shape {stored.shape}, finite as {dtype}: {finite}",
            expected=f"shape {shape}, all finite",
            next_step=next_step,
        )
    return stored


def read_card(folder: Path, kind: type[C], *, redo: str) -> C:
    """Read the card of a cache.

    Raises:
        CorruptCacheError: the card is missing, since the cache was not finished.
    """
    try:
        return read_record(folder / CARD_FILE, kind)
    except RecordError as error:
        raise CorruptCacheError(f"{folder} holds an incomplete cache", found=error.what, next_step=redo) from error


def check_cache(folder: Path, card: Card, expected: Identity, format_version: int, *, redo: str) -> None:
    """Check a cache's identity and the checksums of its files.

    Args:
        folder: folder of the cache.
        card: card of the cache.
        expected: identity that it must have.
        format_version: version that the reader supports.
        redo: next step for a refused cache.

    Raises:
        StaleCacheError: its identity differs; the message names the differing fields.
        CorruptCacheError: a file is missing, truncated or changed.
    """
    if card.format_version != format_version:
        raise StaleCacheError(
            f"{folder} has another format", found=card.format_version, expected=format_version, next_step=redo
        )
    if differences := card.identity.differences(expected):
        raise StaleCacheError(
            f"the cache {folder} has another identity",
            found="".join(f"\n    {line}" for line in differences),
            next_step=redo,
        )
    for shard in card.shards:
        for name, digest in shard.sha256.items():
            path = folder / name
            found = sha256_file(path) if path.is_file() else "no file"
            if found != digest:
                raise CorruptCacheError(
                    f"{path} was changed after it was written", found=found, expected=f"sha256 {digest}", next_step=redo
                )


def open_arrays(folder: Path, card: Card, names: Sequence[str]) -> list[Arrays]:
    """Open some arrays of a checked cache, shard by shard, memory-mapped."""
    return [
        {name: np.load(folder / shard_file(number, name), mmap_mode="r") for name in names}
        for number in range(len(card.shards))
    ]


def shard_file(shard: int, array: str) -> str:
    """Return the name of the file with one array of a shard."""
    return f"{shard:05d}.{array}.npy"


def row_ends(counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the bounds of rows that lie one after another in an array: row r is `[bounds[r]:bounds[r + 1]]`."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def check_difference(what: str, difference: float, num_rows: int, tolerance: float, *, redo: str) -> None:
    """Check how far a few rows of a cache are from those that the teacher computes again.

    Args:
        what: the numbers that are compared, in messages.
        difference: largest absolute difference between cached and recomputed numbers.
        num_rows: rows that were compared.
        tolerance: largest difference allowed, for rounding and the effect of batches.
        redo: next step for a refused cache.

    Raises:
        StaleCacheError: the difference is above the tolerance.
    """
    if not difference <= tolerance:  # a difference that is nan is refused too
        raise StaleCacheError(
            f"{what} do not match the teacher",
            found=f"largest difference {difference:.4g} over {num_rows} rows",
            expected=f"at most {tolerance:.4g}",
            next_step=redo,
        )


def pack_ids(content_ids: Sequence[str]) -> UInt8[np.ndarray, "row byte"]:
    """Pack content ids to uint8 `[row, 16]`."""
    return np.frombuffer(bytes.fromhex("".join(content_ids)), dtype=np.uint8).reshape(-1, CONTENT_ID_BYTES)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
