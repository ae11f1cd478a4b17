"""A cache in shards: arrays with checksums, put in place together, found again after a kill, verified when opened.

The logit cache and the cache of soft targets at masked positions are both kept this way. What their arrays mean, and
which identity they have, they know themselves.
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
    """What the content of a cache depends on; a subclass names it."""

    def differences(self, other: Self) -> list[str]:
        """What differs between two identities, one line a field."""
        fields = [(name, getattr(self, name), getattr(other, name)) for name in type(self).model_fields]
        return [f"{name}: {_short(mine)} is not {_short(theirs)}" for name, mine, theirs in fields if mine != theirs]


class Shard(Record):
    """The card of one shard: consecutive rows.

    Attributes:
        num_rows: in it.
    """

    num_rows: int

    def files(self, number: int) -> dict[str, str]:
        """SHA-256 of every file of the shard, by name.

        Args:
            number: of the shard.
        """
        raise NotImplementedError


class Card(Record):
    """What lies beside the shards, as card.json.

    Attributes:
        format_version: of the files.
        identity: what the cache belongs to.
        shards: in order.
        choices: settings left to the program, as they were used; the identity holds their values.
    """

    format_version: int
    identity: Identity
    shards: tuple[Shard, ...]
    choices: tuple[Choice, ...] = ()


S = TypeVar("S", bound=Shard)
C = TypeVar("C", bound=Card)


class ShardWriter(Generic[S]):
    """The shards of a cache that is being written, in a folder that survives a kill.

    Each has a card of its own, written as its last file and named after the cache's identity.

    Args:
        scratch: the folder.
        identity: of the cache.
        kind: of the shards' cards.
    """

    def __init__(self, scratch: Path, identity: Identity, kind: type[S]) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._scratch = scratch
        self._key = sha256_json(identity.model_dump(mode="json"))[:16]
        self._kind = kind

    def finished(self, number: int, ids: UInt8[np.ndarray, "row byte"]) -> S | None:
        """The card of a shard that an earlier run finished: identity, content ids and all checksums agree; or None."""
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
        """Write one array of a shard to a file of this name; returns its SHA-256."""
        content = _npy(array)
        write_bytes(self._scratch / name, content)
        return sha256_bytes(content)

    def finish(self, number: int, card: S) -> None:
        """Write the card of a shard whose arrays are written."""
        write_json(self._card(number), card)

    def publish(self, out: Path, card: Card) -> None:
        """Replace a folder by the finished cache; its card comes last."""
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
    """What a cache says it is.

    Raises:
        CorruptCacheError: it has no card: it was not finished.
    """
    try:
        return read_record(folder / CARD_FILE, kind)
    except RecordError as error:
        raise CorruptCacheError(f"{folder} is no whole cache", found=error.what, next_step=redo) from error


def check_cache(folder: Path, card: Card, expected: Identity, format_version: int, *, redo: str) -> None:
    """Make sure that a cache is the one expected, and that its bytes are those that were written.

    Args:
        folder: where it lies.
        card: its own.
        expected: what it has to be.
        format_version: that its reader knows.
        redo: what to do about a cache that is refused.

    Raises:
        StaleCacheError: it belongs to something else; the message names what differs.
        CorruptCacheError: a file is missing, truncated or changed.
    """
    if card.format_version != format_version:
        raise StaleCacheError(
            f"{folder} has another format", found=card.format_version, expected=format_version, next_step=redo
        )
    if differences := card.identity.differences(expected):
        raise StaleCacheError(
            f"the cache {folder} belongs to something else",
            found="".join(f"\n    {line}" for line in differences),
            next_step=redo,
        )
    for number, shard in enumerate(card.shards):
        for name, digest in shard.files(number).items():
            path = folder / name
            found = sha256_file(path) if path.is_file() else "no file"
            if found != digest:
                raise CorruptCacheError(
                    f"{path} is not what was written", found=found, expected=f"sha256 {digest}", next_step=redo
                )


def pack_ids(content_ids: Sequence[str]) -> UInt8[np.ndarray, "row byte"]:
    """Content ids as uint8 `[row, 16]`."""
    return np.frombuffer(bytes.fromhex("".join(content_ids)), dtype=np.uint8).reshape(-1, CONTENT_ID_BYTES)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
