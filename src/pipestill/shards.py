"""A cache in shards: arrays with checksums, published together, reused after a kill, verified when opened.

The logit cache and the cache of soft targets at masked positions are both stored this way; each defines its own arrays
and identity.
"""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np
from jaxtyping import UInt8

from pipestill.choices import Choice
from pipestill.errors import CorruptCacheError, RecordError, StaleCacheError
from pipestill.fingerprint import CONTENT_ID_BYTES, sha256_bytes, sha256_file, sha256_json
from pipestill.records import Record, read_record, write_bytes, write_json

CARD_FILE = "card.json"
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
    """

    num_rows: int

    def files(self, number: int) -> dict[str, str]:
        """Return the SHA-256 of every file of the shard, by name.

        Args:
            number: number of the shard.
        """
        raise NotImplementedError


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


class ShardWriter(Generic[S]):
    """Writer of a cache's shards, in a folder that survives a kill.

    Each has a card of its own, written as its last file and named after the cache's identity.

    Args:
        scratch: folder that survives a kill.
        identity: identity of the cache.
        kind: class of the shards' cards.
    """

    def __init__(self, scratch: Path, identity: Identity, kind: type[S]) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._scratch = scratch
        self._key = sha256_json(identity.model_dump(mode="json"))[:16]
        self._kind = kind

    def finished(self, number: int, ids: UInt8[np.ndarray, "row byte"]) -> S | None:
        """Return the card of a shard finished by an earlier run with equal identity, ids and checksums, or None."""
        try:
            card = read_record(self._card(number), self._kind)
        except RecordError:
            return None
        files = card.files(number)
        if sha256_bytes(_npy(ids)) not in files.values():
            return None
        whole = all((self._scratch / name).is_file() and self._sha256(name) == sha for name, sha in files.items())
        return card if whole else None

    def write(self, name: str, array: np.ndarray) -> str:
        """Write one array of a shard to a file of this name, and return its SHA-256."""
        content = _npy(array)
        write_bytes(self._scratch / name, content)
        return sha256_bytes(content)

    def finish(self, number: int, card: S) -> None:
        """Write the card of a shard whose arrays are written."""
        write_json(self._card(number), card)

    def publish(self, out: Path, card: Card) -> None:
        """Replace a folder by the finished cache; the card is written last."""
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        for number, shard in enumerate(card.shards):
            for name in shard.files(number):
                shutil.move(self._scratch / name, out / name)
        write_json(out / CARD_FILE, card)

    def _card(self, number: int) -> Path:
        return self._scratch / f"{number:05d}.{self._key}.json"

    def _sha256(self, name: str) -> str:
        return sha256_file(self._scratch / name)


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
    for number, shard in enumerate(card.shards):
        for name, digest in shard.files(number).items():
            path = folder / name
            found = sha256_file(path) if path.is_file() else "no file"
            if found != digest:
                raise CorruptCacheError(
                    f"{path} was changed after it was written", found=found, expected=f"sha256 {digest}", next_step=redo
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
