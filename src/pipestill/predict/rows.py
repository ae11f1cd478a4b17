"""Reading rows from lines, JSONL or CSV one at a time, so that unbounded input needs bounded memory."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal, NamedTuple

from pipestill.errors import PredictError

InputFormat = Literal["lines", "jsonl", "csv"]
_LONGEST_FIELD = 1 << 30


class Row(NamedTuple):
    """One row of input.

    Attributes:
        line: the line of the input that it begins on, counted from 1; the header of a CSV is line 1.
        text: its text.
        problem: why it cannot be classified; None where it can.
    """

    line: int
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
        One row a line or CSV record; a row that cannot be used says why, and the next is read.

    Raises:
        PredictError: a CSV input has no such column.
    """
    lines = _decode(file)
    if input_format == "csv":
        rows = _read_csv(lines, text_column)
    elif input_format == "jsonl":
        rows = (_parse_json(line, content, text_column) for line, content in enumerate(lines, 1) if content.strip())
    else:
        rows = (Row(line, content.rstrip("\r\n")) for line, content in enumerate(lines, 1))
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


def _parse_json(line: int, content: str, text_column: str) -> Row:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        return Row(line, "", f"not JSON: {error}")
    text = value.get(text_column) if isinstance(value, dict) else value
    if isinstance(text, str):
        return Row(line, text)
    return Row(line, "", f"no text under {text_column!r}: found {type(text).__name__}")


def _read_csv(lines: Iterable[str], text_column: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(lines)
    header = next(reader, [])
    if text_column not in header:
        raise PredictError(
            f"the CSV input has no column {text_column!r}", found=header, next_step="name one with --text-column"
        )
    column = header.index(text_column)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, "", f"not CSV: {error}")
            continue
        if not fields:  # a blank line
            continue
        if len(fields) == len(header):
            yield Row(line, fields[column])
        else:
            yield Row(line, "", f"{len(fields)} fields where the header has {len(header)}")
