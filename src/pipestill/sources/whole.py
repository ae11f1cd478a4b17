"""Integrity checks of fetched files, which find git-LFS pointers in a file's place, and truncated weights or JSON.

A clone without git LFS holds a text of 130 bytes where a large file should lie, and a download that was interrupted
holds the first part of it. Both have the right name, so that the fault would show only stages later, when the file is
read.
"""

from collections.abc import Iterable
from pathlib import Path

from pipestill.errors import SourceError
from pipestill.json_text import parse_json
from pipestill.sources.model_files import MODEL_FILES

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LENGTH_BYTES = 8
"""Bytes of the header's length, a little-endian number at the start of a safetensors file."""
MAX_HEADER_BYTES = 100_000_000
"""Longest header that safetensors itself reads."""
POINTER_BYTES = 200
"""Upper limit of a pointer's size."""
_GET_AGAIN = "download the file again, or run `git lfs pull` in the repository that it comes from; then fetch again"


def check_model_files(folder: Path, place: str) -> None:
    """Refuse a model folder with an incomplete file.

    Args:
        folder: folder of the fetched files.
        place: folder or repository of their origin.

    Raises:
        SourceError: a file is a git-LFS pointer, or its weights or JSON are cut short.
    """
    files = [folder / name for name in MODEL_FILES if (folder / name).is_file()]
    refuse_pointers(files, folder, place)
    for file in files:
        if file.suffix == ".safetensors":
            _check_weights(file, place)
        elif file.suffix == ".json":
            _check_json(file, place)


def refuse_pointers(files: Iterable[Path], folder: Path, place: str) -> None:
    """Refuse git-LFS pointers.

    Args:
        files: paths below `folder`.
        folder: folder of the fetched files.
        place: folder or repository of their origin.

    Raises:
        SourceError: a file is a pointer.
    """
    for file in files:
        with file.open("rb") as content:
            start = content.read(POINTER_BYTES)
        if start.startswith(LFS_POINTER):
            raise SourceError(
                f"{place}/{file.relative_to(folder).as_posix()} is a git-LFS pointer",
                found=f"{file.stat().st_size} bytes of text in the file's place: "
                f"{' '.join(start.decode('utf-8', 'replace').split())}",
                expected="the file itself",
                next_step="run `git lfs pull` in the repository that it comes from (once before: `git lfs install`), "
                "and fetch again",
            )


def _check_weights(file: Path, place: str) -> None:
    size = file.stat().st_size
    expected = _expected_bytes(file, size)
    if size != expected:
        raise SourceError(
            f"{place}/{file.name} is truncated or not a safetensors file",
            found=f"{size} bytes",
            expected="a safetensors header within them" if expected is None else f"{expected} bytes, by its header",
            next_step=_GET_AGAIN,
        )


def _expected_bytes(file: Path, size: int) -> int | None:
    """Read a safetensors file's size from its header; None if the header cannot be read."""
    with file.open("rb") as content:
        header_bytes = int.from_bytes(content.read(LENGTH_BYTES), "little")
        if header_bytes > min(size - LENGTH_BYTES, MAX_HEADER_BYTES):
            return None
        header = content.read(header_bytes)
    try:
        tensors = {key: value for key, value in parse_json(header).items() if key != "__metadata__"}
        ends = [int(tensor["data_offsets"][1]) for tensor in tensors.values()]
    except (ValueError, AttributeError, KeyError, IndexError, TypeError):
        return None
    return LENGTH_BYTES + header_bytes + max(ends, default=0)


def _check_json(file: Path, place: str) -> None:
    try:
        parse_json(file.read_bytes())
    except ValueError as error:
        raise SourceError(
            f"{place}/{file.name} is truncated or not JSON",
            found=f"{file.stat().st_size} bytes; {error}",
            expected="the whole file, as save_pretrained wrote it",
            next_step=_GET_AGAIN,
        ) from error
