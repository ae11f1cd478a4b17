"""Extraction of single files from untrusted zip and tar archives.

Nothing is unpacked wholesale: each wanted member is copied, up to a limit, to a path that the caller chose. A member's
own name therefore never becomes a path; unsafe names are refused all the same, as a sign of tampering.
"""

import bz2
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, cast

from pipestill.errors import SourceError

MAX_MEMBER_BYTES = 4 << 30
"""Largest member to extract, as a guard against archive bombs."""
MAX_ARCHIVE_BYTES = 8 << 30
"""Most bytes that a tar may unpack to before the wanted member ends: a compressed tar is read from its start."""
MAX_MEMBERS = 100_000
MAX_READ_BYTES = 16 << 20
"""Longest header of a tar, such as a long name: its length stands in the archive, and may be false."""
_CHUNK_BYTES = 1 << 20
NESTED = "!"
"""Steps from an archive into an archive inside it."""


def extract_member(archive: Path, member: str, target: Path, *, max_bytes: int = MAX_MEMBER_BYTES) -> None:
    """Copy one regular file out of an archive, through nested archives where the path has a `!`.

    Args:
        archive: path of a zip, wheel, tar or compressed tar.
        member: the path inside, such as `a/b.tar.gz!c/d.txt`.
        target: file to write; its folder is created.
        max_bytes: limit on every file copied on the way.

    Raises:
        SourceError: a missing archive or member, an unsafe name, a link or device, or more than `max_bytes`.
    """
    first, _, rest = member.partition(NESTED)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _open_member(archive, first, max_bytes) as stream:
        if not rest:
            _copy_limited(stream, target, f"{archive.name}: {first}", max_bytes)
            return
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".nested-") as folder:
            inner = Path(folder) / PurePosixPath(first).name
            _copy_limited(stream, inner, f"{archive.name}: {first}", max_bytes)
            extract_member(inner, rest, target, max_bytes=max_bytes)


def refuse_unsafe_name(name: str, archive: str) -> None:
    """Refuse a member name that points outside its archive.

    Raises:
        SourceError: the name is absolute, climbs with `..`, or holds a backslash, a drive or a NUL.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(char in name for char in "\\:\0") or not path.parts:
        raise SourceError(
            f"{archive} holds an unsafe member name",
            found=repr(name),
            expected="a relative path that stays inside the archive",
            next_step="do not use this file; its publisher or the way to you may be compromised",
        )


class _BoundedTar:
    """The bytes of a tar for `tarfile`, which reads and skips as much as the tar's headers say.

    Args:
        stream: bytes of the tar, no longer compressed.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_READ_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        if not 0 <= position <= MAX_ARCHIVE_BYTES:
            raise tarfile.ReadError(f"{position} bytes of members, more than {MAX_ARCHIVE_BYTES}")
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


_COMPRESSIONS: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_CANNOT_UNPACK = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    struct.error,
    ValueError,
    OverflowError,
    RuntimeError,  # zipfile's word for an encrypted member; NotImplementedError, for an unknown compression, is one
)


@contextmanager
def _open_member(archive: Path, member: str, max_bytes: int) -> Iterator[IO[bytes]]:
    refuse_unsafe_name(member, archive.name)
    try:
        if zipfile.is_zipfile(archive):
            with (
                zipfile.ZipFile(archive) as opened,
                opened.open(_zip_file(opened, member, archive.name, max_bytes)) as stream,
            ):
                yield stream
            return
        with (
            _tar_stream(archive) as tar,
            tarfile.open(fileobj=cast("IO[bytes]", _BoundedTar(tar)), mode="r:") as opened_tar,
        ):
            stream_or_none = opened_tar.extractfile(_tar_file(opened_tar, member, archive.name, max_bytes))
            if stream_or_none is None:  # pragma: no cover (_tar_file lets only regular files through)
                raise _missing(archive.name, member, [])
            with stream_or_none as stream:
                yield stream
    except _CANNOT_UNPACK as error:
        raise SourceError(
            f"{archive.name} cannot be unpacked",
            found=error,
            expected="a whole zip, wheel, tar, tar.gz, tar.bz2 or tar.xz, not encrypted",
            next_step="delete .scratch/downloads and fetch again",
        ) from error


def _tar_stream(archive: Path) -> IO[bytes]:
    """Open a tar, unpacked as its first bytes ask for."""
    with archive.open("rb") as file:
        head = file.read(max(map(len, _COMPRESSIONS)))
    for begins, unpacked in _COMPRESSIONS.items():
        if head.startswith(begins):
            return cast("IO[bytes]", unpacked(archive))
    return archive.open("rb")


def _zip_file(opened: zipfile.ZipFile, member: str, archive: str, max_bytes: int) -> zipfile.ZipInfo:
    for name in opened.namelist():
        refuse_unsafe_name(name, archive)
    try:
        info = opened.getinfo(member)
    except KeyError:
        raise _missing(archive, member, opened.namelist()) from None
    mode = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or mode not in (0, stat.S_IFREG):
        raise _not_regular(archive, member)
    _refuse_large(f"{archive}: {member}", info.file_size, max_bytes)
    return info


def _tar_file(opened: tarfile.TarFile, member: str, archive: str, max_bytes: int) -> tarfile.TarInfo:
    infos = list(islice(opened, MAX_MEMBERS + 1))
    if len(infos) > MAX_MEMBERS:
        raise tarfile.ReadError(f"more than {MAX_MEMBERS} members")
    for info in infos:
        refuse_unsafe_name(info.name, archive)
    matches = [info for info in infos if PurePosixPath(info.name) == PurePosixPath(member)]
    if not matches:
        raise _missing(archive, member, [info.name for info in infos])
    if not matches[-1].isreg():
        raise _not_regular(archive, member)
    _refuse_large(f"{archive}: {member}", matches[-1].size, max_bytes)
    return matches[-1]


def _copy_limited(stream: IO[bytes], target: Path, what: str, max_bytes: int) -> None:
    # Counted while copying, since the size declared in an archive may be false.
    if shutil.disk_usage(target.parent).free < min(max_bytes, _CHUNK_BYTES):
        raise SourceError(f"no space left to unpack {what}", next_step="free some disk space")
    copied = 0
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK_BYTES):
            copied += len(chunk)
            if copied > max_bytes:
                file.close()
                target.unlink()
            _refuse_large(what, copied, max_bytes)
            file.write(chunk)


def _refuse_large(what: str, num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes:
        raise SourceError(f"{what} is too large", found=f"over {max_bytes} bytes", expected="less")


def _missing(archive: str, member: str, names: list[str]) -> SourceError:
    last = PurePosixPath(member).name
    near = [name for name in names if PurePosixPath(name).name == last] or sorted(names)[:10]
    return SourceError(
        f"{archive} has no member {member}",
        found=f"such as {near}",
        next_step="correct the member path in params.yaml",
    )


def _not_regular(archive: str, member: str) -> SourceError:
    return SourceError(
        f"{archive}: {member} is a link, a folder or a device",
        expected="a regular file",
        next_step="name the file itself; links inside archives are never followed",
    )
