"""Reading raw rows, one at a time, from csv, tsv, jsonl, parquet and Orange's tab files.

Every error names the file and the line. Repairs of bytes (a byte order mark, CRLF, blank lines) are counted.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipestill.data.decoding import decoded_lines
from pipestill.data.delimited import delimited_rows
from pipestill.data.parquet import parquet_rows
from pipestill.data.raw_rows import RawRow, short, typed_row
from pipestill.errors import DataError
from pipestill.json_text import parse_json
from pipestill.raw import Reader


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
        DataError: the file is missing, empty, not UTF-8, malformed, unfolds to too much, lacks a column, or has a field
            that holds whole rows.
    """
    if not path.is_file():
        raise DataError(f"{path} is not a file", expected="a file of rows", next_step="run `dvc repro fetch`")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", expected="rows of text", next_step="check the source under `fetch`")
    if reader.format == "parquet":
        rows = parquet_rows(path, reader, labelled=labelled)
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
