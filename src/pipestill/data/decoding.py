"""Decoding a raw file to lines: UTF-8 or UTF-16, compressed by gzip or not.

Line ends and byte order marks are repaired and counted. A file of another kind (a workbook, a zip, parquet under the
name of a csv, ...) is refused, and the error names the kind.
"""

import codecs
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import NamedTuple, cast

from pipestill.data.unfolding import Unfolding
from pipestill.errors import DataError
from pipestill.raw import MAX_ROW_BYTES

GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HEAD_BYTES = 64


class _Kind(NamedTuple):
    """A kind of file that does not hold lines of text, known by its first bytes."""

    begins: bytes
    name: str
    next_step: str


_UNPACK = "unpack it, or compress the csv or jsonl inside by gzip"
_SAVE = 'open it in the office program and save it as "CSV UTF-8"'
_KINDS = (
    _Kind(b"PAR1", "a parquet file", "set `format: parquet`"),
    _Kind(b"PK\x03\x04", "a zip archive, which an Excel workbook (.xlsx) is too", f"{_SAVE}; of a zip: {_UNPACK}"),
    _Kind(b"\xd0\xcf\x11\xe0", "a workbook of an old Excel (.xls)", _SAVE),
    _Kind(b"BZh", "compressed by bzip2", _UNPACK),
    _Kind(b"\xfd7zXZ", "compressed by xz", _UNPACK),
    _Kind(b"(\xb5/\xfd", "compressed by zstd", _UNPACK),
    _Kind(b"%PDF", "a PDF", "export its table as csv"),
    _Kind(b"version https://git-lfs", "a pointer of Git LFS, which stands for the file", "run `git lfs pull`"),
    _Kind(codecs.BOM_UTF32_LE, "UTF-32", "convert it: `iconv -f UTF-32 -t UTF-8`"),
    _Kind(codecs.BOM_UTF32_BE, "UTF-32", "convert it: `iconv -f UTF-32 -t UTF-8`"),
)


def decoded_lines(path: Path, repairs: Counter[str]) -> Iterator[str]:
    r"""Read the lines of a file; all end in LF, except perhaps the last.

    Args:
        path: file to read.
        repairs: counter of repairs, which is updated.

    Raises:
        DataError: the file is of another kind, cannot be unpacked, holds bytes that are not of its encoding, or ends
            its lines in bare CR.
    """
    with path.open("rb") as file:
        if not file.peek(len(GZIP)).startswith(GZIP):
            yield from _lines(path, file, repairs)
            return
        try:
            unfolding = Unfolding(path)
            with cast("BufferedReader", BufferedReader(gzip.open(file))) as unpacked:
                for line in _lines(path, unpacked, repairs):
                    unfolding.add(len(line), rows=1)
                    yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"{path} cannot be unpacked",
                found=error,
                expected="a whole file compressed by gzip",
                next_step="fetch the file again: this copy is cut or damaged",
            ) from error


def refuse_other_kind(path: Path, head: bytes, expected: str) -> None:
    """Refuse a file that begins like one of another kind.

    Raises:
        DataError: it does; the message names the kind.
    """
    for kind in _KINDS:
        if head.startswith(kind.begins):
            raise DataError(f"{path} is not {expected}", found=kind.name, expected=expected, next_step=kind.next_step)
    zeros = [byte == 0 for byte in head[:8]]
    if zeros in ([False, True] * 4, [True, False] * 4):
        order = "LE" if zeros[1] else "BE"
        raise DataError(
            f"{path} is not {expected}",
            found=f"UTF-16{order} without a byte order mark",
            expected="UTF-8, or UTF-16 with a byte order mark",
            next_step=f"convert it: `iconv -f UTF-16{order} -t UTF-8`",
        )


def not_utf8(place: str, error: UnicodeDecodeError, next_step: str) -> DataError:
    """Make the error for a line or value whose bytes are not UTF-8.

    Args:
        place: the file with the line or row.
        error: error of decoding that line or value alone.
        next_step: the user's next step.
    """
    return DataError(
        f"{place} is not UTF-8",
        found=f"byte 0x{error.object[error.start]:02x} at position {error.start + 1}",
        expected="UTF-8",
        next_step=next_step,
    )


def bare_cr(path: Path, line: int) -> DataError:
    """Make the error for a carriage return that ends a line alone."""
    return DataError(
        f"{path} ends its lines in bare CR",
        found=f"on line {line} a carriage return that no newline follows, as old Macintosh programs write it",
        expected="lines that end in LF or CRLF",
        next_step=f"convert it: `tr '\\r' '\\n' < {path.name}`",
    )


def _lines(path: Path, file: BufferedReader, repairs: Counter[str]) -> Iterator[str]:
    head = file.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    refuse_other_kind(path, head, "lines of text")
    if head.startswith(_UTF16):
        repairs["utf_16"] += 1
        return _utf16_lines(path, file, repairs)
    return _utf8_lines(path, file, repairs)


def _utf8_lines(path: Path, file: BufferedReader, repairs: Counter[str]) -> Iterator[str]:
    """Decode each line by itself, so that the error for a wrong byte can name its line."""
    if file.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
        repairs["byte_order_mark"] += 1
        file.read(len(codecs.BOM_UTF8))
    number, num_crlf = 1, 0
    try:
        for number, line in enumerate(iter(lambda: file.readline(MAX_ROW_BYTES), b""), start=1):
            if len(line) == MAX_ROW_BYTES:
                raise _too_long(path, number)
            if line.endswith(b"\r\n"):
                num_crlf += 1
                yield f"{line[:-2].decode()}\n"
            elif number == 1 and b"\r" in line and not line.endswith(b"\n"):
                raise bare_cr(path, number)
            else:
                yield line.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(
            f"{path}, line {number}", error, next_step="convert it: `iconv -f WINDOWS-1252 -t UTF-8`"
        ) from error
    finally:
        repairs.update({"crlf_line_ends": num_crlf} if num_crlf else {})


def _utf16_lines(path: Path, file: BufferedReader, repairs: Counter[str]) -> Iterator[str]:
    """Decode UTF-16, keeping lone surrogates, as JSON may hold them too: cleaning replaces and counts them."""
    number = 0
    try:
        with TextIOWrapper(file, encoding="utf-16", errors="surrogatepass", newline="\n") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MAX_ROW_BYTES), ""), start=1):
                if len(line) == MAX_ROW_BYTES:
                    raise _too_long(path, number)
                if number == 1 and "\r" in line and not line.endswith("\n"):
                    raise bare_cr(path, number)
                if line.endswith("\r\n"):
                    repairs["crlf_line_ends"] += 1
                    yield f"{line[:-2]}\n"
                else:
                    yield line
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number + 1} is not UTF-16",
            found=error.reason,
            expected="UTF-16, as the file's byte order mark says",
            next_step="fetch the file again: this copy is cut or damaged",
        ) from error


def _too_long(path: Path, line: int) -> DataError:
    return DataError(
        f"{path}, line {line} is too long",
        found=f"{MAX_ROW_BYTES:,} bytes without a newline",
        expected="one row a line",
        next_step="end each row with a newline; of a JSON file that is one list, `jq -c '.[]'` makes that",
    )


def begins_with(path: Path) -> bytes:
    """Read the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)
