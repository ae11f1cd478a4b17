"""Reading raw rows, one at a time, from csv, tsv, jsonl, parquet and Orange's tab files.

Every error names the file and the line. Repairs of bytes (a byte order mark, CRLF, blank lines) are counted.
"""

import codecs
import csv
import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipestill.errors import DataError
from pipestill.raw import Reader

MAX_FIELD_CHARS = 16 << 20
"""A quote that is never closed swallows the rest of the file; this bounds how much."""
_BATCH_ROWS = 4096
_SHOWN_CHARS = 120


class RawRow(NamedTuple):
    """One row as it stands in the file: `line` counts from 1 (parquet: rows); None is a missing value."""

    line: int
    text: str | None
    label: str | None


def read_rows(path: Path, reader: Reader, *, labelled: bool, repairs: Counter[str]) -> Iterator[RawRow]:
    """Read a raw file.

    Args:
        path: the file.
        reader: its format and columns.
        labelled: whether the label column is read; it need not exist otherwise.
        repairs: repairs of bytes are counted here.

    Yields:
        The rows in file order.

    Raises:
        DataError: the file is empty, not UTF-8, malformed, or lacks a column.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", expected="rows of text", next_step="check the source under `fetch`")
    if reader.format == "parquet":
        rows = _parquet_rows(path, reader, labelled)
    elif reader.format == "jsonl":
        rows = _jsonl_rows(path, reader, labelled, repairs)
    else:
        rows = _table_rows(path, reader, labelled, repairs)
    count = 0
    for row in rows:
        count += 1
        yield row
    if not count:
        raise DataError(f"{path} holds no rows", found="a header at most", next_step="check the source under `fetch`")


def _lines(path: Path, repairs: Counter[str]) -> Iterator[str]:
    """Lines that end in a bare newline, decoded one by one so that a wrong byte is known by its line."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw
            if number == 1 and line.startswith(codecs.BOM_UTF8):
                repairs["byte_order_mark"] += 1
                line = line.removeprefix(codecs.BOM_UTF8)
            if number == 1 and b"\r" in line and not line.endswith(b"\n"):
                raise _bare_cr(path)
            if line.endswith(b"\r\n"):
                repairs["crlf_line_ends"] += 1
                line = line[:-2] + b"\n"
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                utf16 = number == 1 and raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
                raise DataError(
                    f"{path}, line {number} is not UTF-8",
                    found=f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
                    + (" (the file looks like UTF-16)" if utf16 else ""),
                    expected="UTF-8",
                    next_step=f"convert it: `iconv -f {'UTF-16' if utf16 else 'WINDOWS-1252'} -t UTF-8`",
                ) from error


def _bare_cr(path: Path) -> DataError:
    return DataError(
        f"{path} ends its lines in bare CR",
        found="a carriage return that no newline follows, as old Macintosh programs write it",
        expected="lines that end in LF or CRLF",
        next_step=f"convert it: `tr '\\r' '\\n' < {path.name}`",
    )


def _table_rows(path: Path, reader: Reader, labelled: bool, repairs: Counter[str]) -> Iterator[RawRow]:
    records = _records(path, reader, repairs)
    names: list[str] | None = None
    if reader.header or reader.format == "tab":
        names = next(records, (0, []))[1]
        if reader.format == "tab":
            records = islice(records, 2, None)  # the kinds and roles of columns, which Orange needs and we do not
    text_at = _column(reader.text_column, names, path)
    label_at = _column(reader.label_column, names, path) if labelled else None
    width = len(names) if names is not None else None
    for line, fields in records:
        if fields in ([], [""]) and width != 1:
            repairs["blank_lines"] += 1
            continue
        width = width or len(fields)
        if len(fields) != width:
            raise DataError(
                f"{path}, line {line} has {len(fields)} columns",
                found=_short(fields),
                expected=f"{width} columns, as in the first line",
                next_step="put a text that holds the separator in double quotes, and set `quoted: true`",
            )
        if text_at >= width or (label_at is not None and label_at >= width):
            raise DataError(
                f"{path} lacks a column of the mapping",
                found=f"{width} columns",
                expected=f"columns {reader.text_column} and {reader.label_column}, counted from 0",
            )
        yield RawRow(line, fields[text_at], None if label_at is None else fields[label_at])


def _records(path: Path, reader: Reader, repairs: Counter[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, fields); Orange's short header lines come as they are."""
    separator = "," if reader.format == "csv" else "\t"
    lines = _lines(path, repairs)
    if not reader.quoted or reader.format == "tab":
        for number, line in enumerate(lines, start=1):
            yield number, line.removesuffix("\n").split(separator)
        return
    csv.field_size_limit(MAX_FIELD_CHARS)
    parser = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        start = parser.line_num + 1
        try:
            yield start, next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            if "new-line character" in str(error):
                raise _bare_cr(path) from error
            raise DataError(
                f"{path}, line {start}: the quotes do not match",
                found=f"{error}, up to line {parser.line_num}",
                expected='a quoted field "like this", with a quote inside it doubled ("")',
                next_step="mend the line, or set `quoted: false` if quotes are ordinary characters in this file",
            ) from error


def _column(column: str | int, names: list[str] | None, path: Path) -> int:
    if isinstance(column, int):
        return column
    if names is None:
        raise DataError(
            f"{path} is read without a header, so it has no column called {column!r}",
            expected="a column number, counted from 0, or `header: true`",
        )
    if names.count(column) != 1:
        raise DataError(
            f"{path} has {'no' if column not in names else 'more than one'} column {column!r}",
            found=f"the columns {names[:20]}",
            next_step="correct text_column and label_column under `fetch.dataset` in params.yaml",
        )
    return names.index(column)


def _jsonl_rows(path: Path, reader: Reader, labelled: bool, repairs: Counter[str]) -> Iterator[RawRow]:
    for number, line in enumerate(_lines(path, repairs), start=1):
        if not line.strip():
            repairs["blank_lines"] += 1
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number} is not JSON", found=error, expected="one object a line") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number} is no object", found=_short(row), expected='{"text": ..., ...}')
        columns = [reader.text_column, *([reader.label_column] if labelled else [])]
        missing = [column for column in columns if column not in row]
        if missing:
            raise DataError(f"{path}, line {number} has no column {missing[0]!r}", found=f"the columns {sorted(row)}")
        yield _typed(path, number, row[str(reader.text_column)], row[str(reader.label_column)] if labelled else None)


def _parquet_rows(path: Path, reader: Reader, labelled: bool) -> Iterator[RawRow]:
    columns = [str(reader.text_column), *([str(reader.label_column)] if labelled else [])]
    try:
        with pq.ParquetFile(path) as file:
            missing = [column for column in columns if column not in file.schema_arrow.names]
            if missing:
                raise DataError(f"{path} has no column {missing[0]!r}", found=f"the columns {file.schema_arrow.names}")
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield _typed(path, number, row[columns[0]], row[columns[1]] if labelled else None)
    except pa.ArrowException as error:
        raise DataError(f"{path} is no readable parquet file", found=error) from error


def _typed(path: Path, line: int, text: object, label: object) -> RawRow:
    """Text must be a string; a label may be a number or a truth value, and is then called what JSON calls it."""
    if text is not None and not isinstance(text, str):
        raise DataError(f"{path}, line {line}: the text is no string", found=_short(text), expected="a string")
    if isinstance(label, float) and math.isnan(label):
        label = None  # how pandas writes a missing value
    if label is not None and not isinstance(label, str | int | float):
        raise DataError(f"{path}, line {line}: the label is no string", found=_short(label), expected="one label")
    return RawRow(line, text, label if label is None or isinstance(label, str) else json.dumps(label))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
