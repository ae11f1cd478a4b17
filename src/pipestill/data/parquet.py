"""Rows of parquet files, in bounded memory: a value that many rows repeat is held once."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipestill.data.decoding import begins_with, not_utf8, refuse_other_kind
from pipestill.data.raw_rows import RawRow, short, typed_row
from pipestill.data.unfolding import Unfolding
from pipestill.errors import DataError
from pipestill.json_text import parse_json
from pipestill.raw import Reader

_DICTIONARY_BYTES = 64 << 20
"""Largest row group whose columns are held as dictionaries of different values."""
_DICTIONARY_ROWS, _PLAIN_ROWS = 16_384, 256
"""Rows read at once. Values that are not held as a dictionary are copied for each row: 256 of them take some 256 MiB at
most, as writers give up dictionaries of more than 1 MiB."""
_PARQUET = "a parquet file"
_DAMAGED = (pa.ArrowException, OSError, ValueError, OverflowError, IndexError)
"""Exceptions of pyarrow for bytes that are not as they were written."""


def parquet_rows(path: Path, reader: Reader, *, labelled: bool) -> Iterator[RawRow]:
    """Read the rows of a parquet file; see `reading.read_rows`."""
    refuse_other_kind(path, _not_parquet(begins_with(path)), _PARQUET)
    columns = [str(reader.text_column), *([str(reader.label_column)] if labelled else [])]
    number = 0
    try:
        schema, largest_bytes = _checked(path, columns)
        names = reader.label_names or _names_in_metadata(schema, columns[-1])
        for text, label in _values(path, columns, as_dictionary=largest_bytes <= _DICTIONARY_BYTES):
            number += 1
            yield typed_row(path, number, text, label, names)
    except _DAMAGED as error:
        raise DataError(
            f"{path} is not a readable parquet file",
            found=f"after row {number}: {error}",
            expected=_PARQUET,
            next_step="set `format` under `fetch.dataset` to the file's format, or fetch the file again: this copy is "
            "cut or damaged",
        ) from error


def _not_parquet(head: bytes) -> bytes:
    """Return the first bytes of a file that is not parquet; empty for a parquet file."""
    return b"" if head.startswith(b"PAR1") else head


def _checked(path: Path, columns: list[str]) -> tuple[pa.Schema, int]:
    """Check columns and sizes, as the end of the file lists them; return schema and bytes of the largest group."""
    with pq.ParquetFile(path) as file:
        _check_columns(path, file.schema_arrow, columns)
        written = file.metadata
        # Not of the columns: pyarrow ends the process where the entry of a column is damaged.
        sizes = [written.row_group(number).total_byte_size for number in range(written.num_row_groups)]
        Unfolding(path).add(sum(sizes), rows=written.num_rows)
        return file.schema_arrow, max(sizes, default=0)


def _values(path: Path, columns: list[str], *, as_dictionary: bool) -> Iterator[tuple[object, object]]:
    """Read text and label of each row; the label is None if only the texts are read.

    As a dictionary, a value is held once and copied when its row is read, so that a small file cannot fill the memory.
    """
    unfolding = Unfolding(path)
    num_before = 0
    kept = columns if as_dictionary else []
    batch_rows = _DICTIONARY_ROWS if as_dictionary else _PLAIN_ROWS
    with pq.ParquetFile(path, read_dictionary=kept, page_checksum_verification=True) as file:
        groups = ([number] for number in range(file.num_row_groups))  # one by one: an error then names the rows before
        for batch in chain.from_iterable(file.iter_batches(batch_rows, group, columns) for group in groups):
            held = [_column(path, batch.column(column), num_before) for column in columns]
            for text, *labels in zip(*held, strict=True):
                unfolding.add(sum(len(value) for value in (text, *labels) if isinstance(value, str)), rows=1)
                yield text, labels[0] if labels else None
            num_before += batch.num_rows


def _column(path: Path, values: pa.Array, num_before: int) -> Iterator[object]:
    """Convert a batch's values to Python's, checking the UTF-8 that parquet demands but writers do not enforce."""
    for row, scalar in enumerate(_scalars(values), start=num_before + 1):
        try:
            yield None if scalar is None else scalar.as_py()
        except UnicodeDecodeError as error:
            raise not_utf8(
                f"{path}, row {row}",
                error,
                next_step="write the file again from its source, with the right text encoding",
            ) from error


def _scalars(values: pa.Array) -> Iterator[pa.Scalar | None]:
    if not pa.types.is_dictionary(values.type):
        yield from values
        return
    different = values.dictionary
    for place in values.indices.to_pylist():
        yield None if place is None else different[place]


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
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind)
    )


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
