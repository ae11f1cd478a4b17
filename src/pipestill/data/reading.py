"""Reading raw rows, one at a time, from csv, tsv, jsonl, parquet and Orange's tab files.

Every error names the file and the line. Repairs of bytes (a byte order mark, CRLF, blank lines) are counted.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipestill.data.decoding import begins_with, decoded_lines, not_utf8, refuse_other_kind
from pipestill.data.delimited import delimited_rows
from pipestill.data.raw_rows import RawRow, short, typed_row
from pipestill.errors import DataError
from pipestill.json_text import parse_json
from pipestill.raw import Reader

_BATCH_ROWS = 4096
_PARQUET = "a parquet file"


def read_rows(
    path: Path, reader: Reader, *, labelled: bool, repairs: Counter[str], notes: list[str] | None = None
) -> Iterator[RawRow]:
    """Read a raw file.

    Args:
        path: file to read.
        reader: format and columns of the file.
        labelled: whether to read the label column; without it the column need not exist.
        repairs: counter of byte repairs, which is updated.
        notes: list of warnings, a sentence each, which is extended after the file was read.

    Yields:
        The rows in file order.

    Raises:
        DataError: the file is empty, not UTF-8, malformed, lacks a column, or has a field that holds whole rows.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", expected="rows of text", next_step="check the source under `fetch`")
    if reader.format == "parquet":
        rows = _parquet_rows(path, reader, labelled)
    elif reader.format == "jsonl":
        rows = _jsonl_rows(path, reader, labelled, repairs)
    else:
        rows = delimited_rows(
            path, reader, labelled=labelled, repairs=repairs, notes=notes if notes is not None else []
        )
    count = 0
    for row in rows:
        count += 1
        yield row
    if not count:
        raise DataError(f"{path} holds no rows", found="a header at most", next_step="check the source under `fetch`")


def _jsonl_rows(path: Path, reader: Reader, labelled: bool, repairs: Counter[str]) -> Iterator[RawRow]:
    columns = [str(reader.text_column), *([str(reader.label_column)] if labelled else [])]
    for number, line in enumerate(decoded_lines(path, repairs), start=1):
        if not line.strip():
            repairs["blank_lines"] += 1
            continue
        row = _json_object(path, number, line)
        missing = [column for column in columns if column not in row]
        if missing:
            raise DataError(
                f"{path}, line {number} has no column {missing[0]!r}",
                found=f"the columns {short(sorted(row))}",
                next_step="correct text_column and label_column under `fetch.dataset` in params.yaml, or the row",
            )
        yield typed_row(path, number, row[columns[0]], row[columns[1]] if labelled else None, reader.label_names)


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    whole = "one object a line; of a file that is one list, `jq -c '.[]'` makes that"
    try:
        row = parse_json(line)
    except ValueError as error:
        raise DataError(
            f"{path}, line {number} is not JSON",
            found=error,
            expected=whole if number == 1 else "one object a line",
            next_step="correct the line or delete it",
        ) from error
    if not isinstance(row, dict):
        raise DataError(
            f"{path}, line {number} is not an object",
            found=short(row),
            expected=whole,
            next_step='write a row as {"text": ..., "label": ...}',
        )
    return row


def _parquet_rows(path: Path, reader: Reader, labelled: bool) -> Iterator[RawRow]:
    refuse_other_kind(path, _not_parquet(begins_with(path)), _PARQUET)
    columns = [str(reader.text_column), *([str(reader.label_column)] if labelled else [])]
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow, columns)
            names = reader.label_names or _names_in_metadata(file.schema_arrow, columns[-1])
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                for row in _values(path, batch, number):
                    number += 1
                    yield typed_row(path, number, row[columns[0]], row[columns[1]] if labelled else None, names)
    except pa.ArrowException as error:
        raise DataError(
            f"{path} is not a readable parquet file",
            found=error,
            expected=_PARQUET,
            next_step="set `format` under `fetch.dataset` to the file's format, or fetch the file again",
        ) from error


def _not_parquet(head: bytes) -> bytes:
    """Return the first bytes of a file that is not parquet; empty for a parquet file."""
    return b"" if head.startswith(b"PAR1") else head


def _check_columns(path: Path, schema: pa.Schema, columns: list[str]) -> None:
    for column in columns:
        if schema.names.count(column) != 1:
            raise DataError(
                f"{path} has {'no' if column not in schema.names else 'more than one'} column {column!r}",
                found=f"the columns {short(schema.names)}",
                next_step="correct text_column and label_column under `fetch.dataset` in params.yaml",
            )
    for place, column in enumerate(columns):
        kind = schema.field(column).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (_is_text(value) or (place and _is_number(value))):
            raise DataError(
                f"{path}: the column {column!r} holds no {'labels' if place else 'texts'}",
                found=f"values of type {kind}",
                expected="one string, number or truth value a row" if place else "one string a row",
                next_step=f"correct {'label' if place else 'text'}_column under `fetch.dataset` in params.yaml",
            )


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _names_in_metadata(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Return the label names of an integer column, if the library `datasets` wrote them to the file's metadata."""
    written = (schema.metadata or {}).get(b"huggingface")
    try:
        names = parse_json(written)["info"]["features"][column]["names"] if written else ()
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(map(str, names))


def _values(path: Path, batch: pa.RecordBatch, num_before: int) -> list[dict[str, Any]]:
    """Convert a batch's rows to Python values, checking the UTF-8 that parquet demands but writers do not enforce."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError:
        for number in range(batch.num_rows):
            try:
                batch.slice(number, 1).to_pylist()
            except UnicodeDecodeError as error:
                raise not_utf8(
                    f"{path}, row {num_before + number + 1}",
                    error,
                    next_step="write the file again from its source, with the right text encoding",
                ) from error
        raise
    return rows
