"""A check of a stage's inputs: the bytes that it is about to read have the md5 by which DVC names them.

DVC takes a file's md5 from its state as long as size, inode and time of change stay the same, and trusts the objects of
its cache: a changed one is checked out, trained on, and recorded under the md5 of the bytes that it replaced.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from pipestill.errors import PipestillError

MAX_FILE_BYTES = 200_000_000
MAX_TOTAL_BYTES = 1_000_000_000
"""Files beyond these sizes are not read: the check costs a stage a second or two at most."""
CHUNK_BYTES = 1 << 20


class InputError(PipestillError):
    """An input of a stage has other bytes than DVC says."""


def refuse_changed(named: Mapping[Path, str], *, whole: bool = False) -> None:
    """Refuse files whose md5 is not the one that DVC names; small files are read first.

    Args:
        named: DVC's md5 of each file that a stage depends on.
        whole: read every file, however large.

    Raises:
        InputError: a file has another md5.
    """
    total = 0
    for path, size in sorted(_sizes(named).items(), key=lambda item: (item[1], item[0])):
        total += size
        if not whole and (size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES):
            return
        found = md5_file(path)
        if found != named[path]:
            md5 = named[path]
            raise InputError(
                f"{path} is not the file that DVC names: it was changed, here or in the cache, without DVC's notice",
                found=f"md5 {found}",
                expected=f"md5 {md5}",
                next_step=f"delete it and its object, .dvc/cache/files/md5/{md5[:2]}/{md5[2:]}, then run `dvc pull "
                f"{path}`, or `dvc repro`, which makes it again",
            )


def md5_file(path: Path) -> str:
    """Compute the md5 of a file in 32 hexadecimal digits."""
    with path.open("rb") as file:
        return md5_stream(file)


def md5_stream(file: BinaryIO) -> str:
    """Compute the md5 of what is left of an open file, in 32 hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _sizes(named: Mapping[Path, str]) -> dict[Path, int]:
    return {path: path.stat().st_size for path in named if path.is_file()}
