"""Decoding an input's bytes to lines: UTF-8, or UTF-16 with a byte order mark."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from pipestill.errors import PredictError
from pipestill.predict.bounds import MOST_LINE_BYTES

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OTHERS = (
    (b"\x1f\x8b", "compressed by gzip", "unpack it first: `gunzip -c FILE | pipestill predict FOLDER ...`"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "save it as csv in UTF-8, or unpack it"),
    (b"PAR1", "a parquet file", "write its text column as jsonl"),
    (b"\xff\xfe\0\0", "UTF-32", "convert it: `iconv -f UTF-32 -t UTF-8`"),
)


class TooLong(str):
    """Stands for a line that is longer than `MOST_LINE_BYTES`, and holds nothing of it."""

    __slots__ = ()
    problem = f"longer than {MOST_LINE_BYTES >> 20} MiB, the most that one line may have"


def decoded_lines(file: BinaryIO) -> Iterator[str]:
    r"""Decode an input line by line, in bounded memory.

    Args:
        file: bytes of the input.

    Yields:
        The lines, with the `\n` or `\r\n` that ends them. A byte that is not UTF-8 becomes a lone surrogate, which
        marks only its line. A line that is too long is a `TooLong`.

    Raises:
        PredictError: the input is of another kind, or all its lines end in bare CR.
    """
    first = file.readline(MOST_LINE_BYTES)
    if not isinstance(first, bytes):
        raise PredictError(
            "the input is not read as bytes",
            found=f"lines of type {type(first).__name__}",
            expected="a file opened for bytes",
            next_step='open it with mode "rb"',
        )
    for begins, name, next_step in _OTHERS:
        if first.startswith(begins):
            raise PredictError("the input is not text", found=name, expected="text in UTF-8", next_step=next_step)
    wide = first.startswith(_UTF16)
    lines = _utf16_lines(first, file) if wide else _utf8_lines(first, file)
    for number, line in enumerate(lines):
        if number == 0 and "\r" in line.rstrip("\r\n") and not line.endswith("\n"):
            raise bare_cr(1)
        yield line


def bare_cr(line: int) -> PredictError:
    """Make the error for a carriage return that ends a line alone."""
    return PredictError(
        "the input ends its lines in bare CR",
        found=f"on line {line} a carriage return that no newline follows, as old Macintosh programs write it",
        expected="lines that end in LF or CRLF",
        next_step="convert it: `tr '\\r' '\\n' < FILE | pipestill predict FOLDER ...`",
    )


def _utf8_lines(first: bytes, file: BinaryIO) -> Iterator[str]:
    line = first.removeprefix(codecs.BOM_UTF8)
    while line:
        if len(line) < MOST_LINE_BYTES or line.endswith(b"\n"):
            yield line.decode("utf-8", errors="surrogateescape")
        else:
            while line and not line.endswith(b"\n"):
                line = file.readline(MOST_LINE_BYTES)
            yield TooLong()
        line = file.readline(MOST_LINE_BYTES)


def _utf16_lines(first: bytes, file: BinaryIO) -> Iterator[str]:
    """Cut UTF-16 into lines again, since a newline's byte may be half of another character."""
    parts: list[str] = []
    chars = 0
    for text in _utf16_texts(first, file):
        *ends, rest = text.split("\n")
        for end in ends:
            yield f"{''.join(parts)}{end}\n" if 2 * (chars + len(end)) < MOST_LINE_BYTES else TooLong()
            parts, chars = [], 0
        chars += len(rest)
        if rest and 2 * chars < MOST_LINE_BYTES:
            parts.append(rest)
    if chars:
        yield "".join(parts) if 2 * chars < MOST_LINE_BYTES else TooLong()


def _utf16_texts(first: bytes, file: BinaryIO) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-16")(errors="surrogatepass")
    chunk = first
    try:
        while chunk:
            yield decoder.decode(chunk)
            chunk = file.readline(MOST_LINE_BYTES)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise PredictError("the input is not whole UTF-16", found=error.reason, expected="two bytes a unit") from error
