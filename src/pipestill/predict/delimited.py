"""Reading the rows of csv and tsv: a quote that is never closed spoils only its own row."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipestill.errors import PredictError
from pipestill.predict.bounds import MOST_LINE_BYTES, MOST_RECORD_LINES
from pipestill.predict.decoding import TooLong, bare_cr

TAB = "\t"
_CR = "a carriage return (CR) that no newline follows: more than one row, or a mistake"
_QUOTES = "the quotes do not match"
_UNCLOSED = {"unexpected end of data": "one opens here and is never closed"}
_OFFERED = (";", "\t", ",", "|")
_SHOWN = 20


class Record(NamedTuple):
    """One record.

    Attributes:
        line: line that it begins on, counted from 1.
        text: text of the record.
        problem: reason why it cannot be classified, or None.
    """

    line: int
    text: str
    problem: str | None = None


def read_delimited(lines: Iterator[str], text_column: str, separator: str, *, quoted: bool) -> Iterator[Record]:
    """Read the records of a csv or tsv with a header.

    Args:
        lines: lines of the input, with their ends.
        text_column: column of the text.
        separator: character between columns; a first line such as `sep=;`, as Excel writes it, overrides it.
        quoted: whether double quotes enclose a field.

    Raises:
        PredictError: the column is missing or occurs twice, the header is too long, or the lines end in bare CR.
    """
    first = next(lines, "")
    named = re.fullmatch(r'"?sep=(.)"?\s*', first, flags=re.IGNORECASE)
    if named:
        separator, first = named[1], next(lines, "")
    number = 2 if named else 1
    if "\r" in first.rstrip("\r\n"):
        raise bare_cr(number)
    header = _header(first, separator, quoted=quoted)
    if header.count(text_column) != 1:
        raise PredictError(
            f"the input has {'no' if text_column not in header else 'more than one'} column {text_column!r}",
            found=header[:_SHOWN],
            next_step="rename one of them in the header"
            if text_column in header
            else _offer(first, text_column, separator) or "name one with --text-column",
        )
    column, width = header.index(text_column), len(header)
    for line, fields in _records(lines, separator, width, number + 1, quoted=quoted):
        if isinstance(fields, str):
            yield Record(line, "", fields)
        elif not fields or (fields == [""] and width > 1):  # a blank line
            continue
        elif len(fields) != width:
            yield Record(line, "", f"{len(fields)} fields where the header has {width}")
        else:
            yield Record(line, fields[column])


class _UnboundedError(Exception):
    """A record that goes on for longer than any text."""


class _Held:
    """Lines for the parser; those of the present record are held, and can be put back.

    A record has bounds: a quote that is never closed would take the rest of the input into memory.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self.held: list[str] = []
        self._chars = 0

    def __iter__(self) -> "_Held":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.held.append(line)
        self._chars += len(line)
        if isinstance(line, TooLong):
            raise _UnboundedError(f"a line of it is {line.problem}" if len(self.held) > 1 else line.problem)
        if self._chars > MOST_LINE_BYTES or len(self.held) > MOST_RECORD_LINES:
            raise _UnboundedError(
                f"{_QUOTES}: one opens here and is not closed within {MOST_LINE_BYTES >> 20} MiB "
                f"and {MOST_RECORD_LINES} lines"
            )
        return line

    def begin(self) -> None:
        """Begin a record."""
        self.held.clear()
        self._chars = 0

    def give_back_all_but_first(self) -> None:
        self._again.extendleft(reversed(self.held[1:]))
        del self.held[1:]


def _records(
    lines: Iterator[str], separator: str, width: int, number: int, *, quoted: bool
) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (line, fields or problem); after a bad record reading continues with its second line."""
    if not quoted:
        for at, line in enumerate(lines, start=number):
            content = line.rstrip("\r\n")
            if isinstance(line, TooLong):
                yield at, line.problem
            else:
                yield at, _CR if "\r" in content else content.split(separator)
        return
    csv.field_size_limit(MOST_LINE_BYTES)
    source = _Held(lines)
    parser = csv.reader(source, delimiter=separator, strict=True)
    while True:
        source.begin()
        fields: list[str] | str
        try:
            fields = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            fields = _CR if "new-line character" in str(error) else f"{_QUOTES}: {_UNCLOSED.get(str(error), error)}"
            parser = csv.reader(source, delimiter=separator, strict=True)
        except _UnboundedError as error:
            fields = str(error)
            parser = csv.reader(source, delimiter=separator, strict=True)
        if _are_rows(source.held, separator, width):
            fields = f"{_QUOTES}: a field holds {len(source.held)} whole rows"
        if isinstance(fields, str):
            source.give_back_all_but_first()
        yield number, fields
        number += len(source.held)


def _are_rows(lines: Sequence[str], separator: str, width: int) -> bool:
    """Return whether each line of a record looks like a program's row: prose has a space after its commas."""
    if len(lines) == 1 or width == 1:
        return False
    parts = [line.rstrip("\r\n").split(separator) for line in lines if line.strip()]
    return all(len(fields) == width and all(field == field.strip() for field in fields) for fields in parts)


def _header(line: str, separator: str, *, quoted: bool) -> list[str]:
    if isinstance(line, TooLong):
        raise PredictError(f"the header of the input is {line.problem}", expected="the names of the columns")
    if not quoted:
        return line.rstrip("\r\n").split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise PredictError(
            "the header of the input cannot be read", found=error, expected="the names of the columns on one line"
        ) from error


def _offer(line: str, text_column: str, separator: str) -> str | None:
    for other in _OFFERED:
        if other != separator and text_column in next(csv.reader([line], delimiter=other), []):
            return f"give the separator that the input has: --separator {'TAB' if other == TAB else repr(other)}"
    return None
