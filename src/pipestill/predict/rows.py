"""Reading rows from lines, JSONL or CSV one at a time, so that unbounded input needs bounded memory."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal, NamedTuple

from pipestill.errors import PredictError

InputFormat = Literal["lines", "jsonl", "csv"]
_LONGEST_FIELD = 1 << 30


class Row(NamedTuple):
    """One row of input: its text, or why it has none."""

    number: int
    text: str
    problem: str | None = None


def read_rows(file: BinaryIO, input_format: InputFormat, text_column: str) -> Iterator[Row]:
    """Read the rows of one input.

    Args:
        file: bytes, UTF-8, with or without a byte order mark.
        input_format: `lines` takes a line as a text; `jsonl` a JSON string or an object; `csv` has a header. A
            blank line is no row of JSONL or CSV; among `lines` it is a bad one.
        text_column: the key or column that holds the text.

    Yields:
        One row a line or CSV record, numbered from 1; a row that cannot be used says why.

    Raises:
        PredictError: a CSV input has no such column.
    """
    lines = _decode(file)
    if input_format == "csv":
        rows = _read_csv(lines, text_column)
    elif input_format == "jsonl":
        rows = (_parse_json(number, line, text_column) for number, line in enumerate(lines, 1) if line.strip())
    else:
        rows = (Row(number, line.rstrip("\r\n")) for number, line in enumerate(lines, 1))
    for row in rows:
        yield row if row.problem else row._replace(problem=_find_problem(row.text))


def _decode(file: BinaryIO) -> Iterator[str]:
    # A byte that is no UTF-8 becomes a lone surrogate, which marks its row and no other.
    for index, line in enumerate(file):
        text = line.decode("utf-8", errors="surrogateescape")
        yield text.removeprefix("\ufeff") if index == 0 else text


def _find_problem(text: str) -> str | None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "the text is not valid UTF-8"
    return None if text.strip() else "the text is blank"


def _parse_json(number: int, line: str, text_column: str) -> Row:
    try:
        value = json.loads(line)
    except ValueError as error:
        return Row(number, "", f"not JSON: {error}")
    text = value.get(text_column) if isinstance(value, dict) else value
    if isinstance(text, str):
        return Row(number, text)
    return Row(number, "", f"no text under {text_column!r}: found {type(text).__name__}")


def _read_csv(lines: Iterable[str], text_column: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(lines)
    header = next(reader, [])
    if text_column not in header:
        raise PredictError(
            f"the CSV input has no column {text_column!r}", found=header, next_step="name one with --text-column"
        )
    column = header.index(text_column)
    number = 0
    while True:
        number += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(number, "", f"not CSV: {error}")
            continue
        if len(fields) == len(header):
            yield Row(number, fields[column])
        else:
            yield Row(number, "", f"{len(fields)} fields where the header has {len(header)}")
