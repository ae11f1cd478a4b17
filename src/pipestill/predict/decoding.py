"""Decoding an input's bytes to lines: UTF-8, or UTF-16 with a byte order mark."""

import codecs
from collections.abc import Iterable, Iterator

from pipestill.errors import PredictError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OTHERS = (
    (b"\x1f\x8b", "compressed by gzip", "unpack it first: `gunzip -c FILE | pipestill predict FOLDER ...`"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "save it as csv in UTF-8, or unpack it"),
    (b"PAR1", "a parquet file", "write its text column as jsonl"),
    (b"\xff\xfe\0\0", "UTF-32", "convert it: `iconv -f UTF-32 -t UTF-8`"),
)


MAX_LINE_BYTES = 64 << 20
"""Longest line of an input, in bytes: more is no text, and would fill the memory."""


def decoded_lines(file: Iterable[bytes]) -> Iterator[str]:
    r"""Decode an input line by line.

    Args:
        file: bytes of the input, cut at newlines.

    Yields:
        The lines, with the `\n` or `\r\n` that ends them. A byte that is not UTF-8 becomes a lone surrogate, which
        marks only its line.

    Raises:
        PredictError: the input is of another kind, all its lines end in bare CR, or one is longer than MAX_LINE_BYTES.
    """
    chunks = _bounded(file)
    first = next(chunks, b"")
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
    lines = _utf16_lines(first, chunks) if wide else _utf8_lines(first, chunks)
    for number, line in enumerate(lines):
        if number == 0 and "\r" in line.rstrip("\r\n") and not line.endswith("\n"):
            raise bare_cr(1)
        yield line


def _bounded(file: Iterable[bytes]) -> Iterator[bytes]:
    """Cut an input at newlines, and refuse a line that does not end."""
    reads = getattr(file, "readline", None)
    chunks = iter(file) if reads is None else iter(lambda: reads(MAX_LINE_BYTES), b"")
    for number, chunk in enumerate(chunks, start=1):
        if len(chunk) >= MAX_LINE_BYTES:
            raise _too_long(number)
        yield chunk


def _too_long(line: int) -> PredictError:
    return PredictError(
        f"line {line} of the input is too long",
        found=f"{MAX_LINE_BYTES:,} bytes without a newline",
        expected="one text a line, or one object",
        next_step="end each row with a newline",
    )


def bare_cr(line: int) -> PredictError:
    """Make the error for a carriage return that ends a line alone."""
    return PredictError(
        "the input ends its lines in bare CR",
        found=f"on line {line} a carriage return that no newline follows, as old Macintosh programs write it",
        expected="lines that end in LF or CRLF",
        next_step="convert it: `tr '\\r' '\\n' < FILE | pipestill predict FOLDER ...`",
    )


def _utf8_lines(first: bytes, chunks: Iterator[bytes]) -> Iterator[str]:
    if first:
        yield first.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")
    for line in chunks:
        yield line.decode("utf-8", errors="surrogateescape")


def _utf16_lines(first: bytes, chunks: Iterator[bytes]) -> Iterator[str]:
    """Cut UTF-16 into lines again, since a newline's byte may be half of another character."""
    decoder = codecs.getincrementaldecoder("utf-16")(errors="surrogatepass")
    rest = decoder.decode(first)
    number = 0
    for chunk in chunks:
        rest += decoder.decode(chunk)
        *lines, rest = rest.split("\n")
        number += len(lines)
        if len(rest) >= MAX_LINE_BYTES:
            raise _too_long(number + 1)
        yield from (f"{line}\n" for line in lines)
    try:
        rest += decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise PredictError("the input is not whole UTF-16", found=error.reason, expected="two bytes a unit") from error
    *lines, rest = rest.split("\n")
    yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest
