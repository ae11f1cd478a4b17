"""A full disk, recognised in the errors of any library, and named with the disk and the folders to free."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipestill.errors import PipestillError
from pipestill.tracking.identity import home
from pipestill.tracking.scratch import SCRATCH

_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_WORDS = re.compile(
    r"No space left on device|Disk quota exceeded|os error (28|122)\b|\[Errno (28|122)\]"
    r"|database or disk is full"  # sqlite
    r"|unexpected pos \d+ vs \d+|PytorchStreamWriter failed writing",  # torch.save, which counts the bytes written
    re.IGNORECASE,
)
"""Texts of libraries that lose the number of the error."""
_UNSURE = re.compile(r"\d+ requested and \d+ written")
"""Text of numpy, which any fault of writing has."""
_FULL_BYTES = 64 << 20
"""Free space below which a disk counts as full: what was written last is removed by the time of this check."""
_GIB = 1 << 30
_SHOWN_CHARS = 300


def full_disk(error: BaseException) -> PipestillError | None:
    """Make the error for a full disk, if an exception or one of its causes comes from one.

    Args:
        error: exception that ended a stage.

    Returns:
        An error that names the disk and what to free; None for an exception of another kind.
    """
    for found in _causes(error):
        if not _is_full(found):
            continue
        folder = _fullest(found)
        text = " ".join(str(found).split())[:_SHOWN_CHARS]
        return PipestillError(
            f"the disk of {folder} is full",
            found=f"{_free(folder)}; {type(found).__name__}: {text}",
            expected="room for what the stage writes, in its folders, .scratch, DVC's cache and the folder for "
            "temporary files",
            next_step=f"free space on it, then run again: `dvc gc --workspace` removes versions that this workspace "
            f"does not use from DVC's cache; {home() / SCRATCH} holds downloads and checkpoints that can be made "
            "again; TMPDIR moves temporary files to another disk",
        )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """List an exception and those that it was raised from or while handling."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop(0)
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [found.__cause__, found.__context__]


def _is_full(error: BaseException) -> bool:
    if (isinstance(error, OSError) and error.errno in _ERRNOS) or _WORDS.search(str(error)):
        return True
    return bool(_UNSURE.search(str(error))) and shutil.disk_usage(_fullest(error)).free < _FULL_BYTES


def _fullest(error: BaseException) -> Path:
    """Return the folder whose disk has the least free space, of those that the error and the stage write to."""
    names = [getattr(error, name, None) for name in ("filename", "filename2")]
    files = [Path(os.fsdecode(name)) for name in names if isinstance(name, str | bytes)]
    own = [_existing(file) for file in files]
    folders = own or [Path.cwd(), _existing(home() / SCRATCH), Path(tempfile.gettempdir())]
    return min(folders, key=lambda folder: shutil.disk_usage(folder).free).resolve()


def _free(folder: Path) -> str:
    disk = os.statvfs(folder)
    if disk.f_files and not disk.f_favail:
        return f"{disk.f_files:,} files, as many as the disk can hold"
    usage = shutil.disk_usage(folder)
    return f"{usage.free / _GIB:.2f} of {usage.total / _GIB:.2f} GiB are free now"


def _existing(path: Path) -> Path:
    """Return the nearest folder of a path that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
