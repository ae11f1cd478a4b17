"""The first line of a csv or tsv: its separator, its columns, and a check that it is a header."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

from pipestill.data.raw_rows import short
from pipestill.errors import DataError
from pipestill.raw import DELIMITED, Reader

_OFFERED = (";", "\t", ",", "|")
_WORD = re.compile(r"[^\W\d][\w.-]{0,39}")
_TEXT_NAMES = frozenset(
    [
        "text",
        "texts",
        "sentence",
        "sentences",
        "review",
        "reviews",
        "comment",
        "comments",
        "message",
        "messages",
        "body",
        "content",
        "document",
        "question",
        "query",
        "utterance",
        "title",
        "description",
        "tweet",
        "post",
        "input",
    ]
)
_LABEL_NAMES = frozenset(
    [
        "label",
        "labels",
        "class",
        "classes",
        "category",
        "categories",
        "target",
        "intent",
        "sentiment",
        "topic",
        "tag",
        "stars",
        "rating",
        "score",
        "y",
        "output",
    ]
)
_SEVERAL = 2
_ENOUGH_ROWS = 20
_LONGER = 2
"""Least ratio between the length of a text and that of its column's name."""
_NAME_WORDS = 3
"""Most words in the name of a column."""


class FirstLine:
    """The first line of a file, judged as a header or a row by the rows below it.

    Args:
        path: file that is read.
        reader: format and columns from params.yaml.
        separator: character between columns.
        line: the first line, after a line such as `sep=;`.
        names: columns that the line names; None where it is read as a row.
    """

    def __init__(self, path: Path, reader: Reader, separator: str, line: str, names: list[str] | None) -> None:
        self.path = path
        self.reader = reader
        self.separator = separator
        self.line = line.rstrip("\n")
        self.names = names
        self._first: tuple[int, str, str | None] | None = None
        self._num_rows = 0
        self._num_chars = 0

    @property
    def awaits_row(self) -> bool:
        """Return whether the next row is the first of a file without a header."""
        return self.names is None and self._first is None

    def see(self, line: int, text: str, label: str | None) -> None:
        """Look at a row of a file without a header, the first one included."""
        if self._first is None:
            self._first = (line, text, label)
        else:
            self._num_rows += 1
            self._num_chars += len(text)

    def finish(self, knows_label: Callable[[str], bool]) -> None:
        """Refuse a header that was read as a row.

        Args:
            knows_label: tells whether a row other than the first has a given label.

        Raises:
            DataError: the first row looks like names of columns and like no other row.
        """
        if self._first is None:
            return
        line, text, label = self._first
        if label is not None and knows_label(label):
            return
        cells = [text.strip(' "')] if label is None else [text.strip(' "'), label.strip(' "')]
        if not all(_WORD.fullmatch(cell) for cell in cells):
            return
        named = cells[0].casefold() in _TEXT_NAMES or (label is not None and cells[1].casefold() in _LABEL_NAMES)
        unlike = self._num_rows >= _ENOUGH_ROWS and self._num_chars >= _LONGER * len(text) * self._num_rows
        if named or (unlike and label is not None):
            raise DataError(
                f"{self.path}, line {line} is a header, and is read as a row",
                found=" and ".join(repr(cell) for cell in cells),
                expected="a row: `header: false` says that the first line is one",
                next_step=f"set `header: true` and `text_column: {cells[0]}`"
                + (f", `label_column: {cells[1]}`" if label is not None else "")
                + "; a row that only looks like a header may stand on any other line",
            )


def separator_of_first_line(path: Path, line: str, reader: Reader) -> tuple[str, int]:
    """Find the separator of a file, which a first line such as `sep=;`, as Excel writes it, may name.

    Returns:
        The separator, and the number of lines that declare it: 0 or 1.

    Raises:
        DataError: the line names another separator than params.yaml does.
    """
    named = re.fullmatch(r'"?sep=(.)"?\s*', line, flags=re.IGNORECASE) if reader.format in DELIMITED else None
    if named is None:
        return reader.column_separator, 0
    if reader.separator not in (None, named[1]):
        raise DataError(
            f"{path} names another separator than params.yaml",
            found=f"{line.strip()!r} on line 1",
            expected=f"{reader.separator!r}",
            next_step="take `separator` out of fetch.dataset in params.yaml, or correct it",
        )
    return named[1], 1


def column_place(column: str | int, start: FirstLine) -> int:
    """Find a column of the mapping.

    Returns:
        The column's place, counted from 0.

    Raises:
        DataError: the header has no such column or several, or a column is counted though there is a header.
    """
    names, path = start.names, start.path
    if names is None:
        if isinstance(column, int):
            return column
        raise DataError(
            f"{path} is read without a header, so it has no column called {column!r}",
            expected="a column number, counted from 0, or `header: true`",
        )
    if isinstance(column, int):
        raise DataError(
            f"{path} is read with a header, and column {column} is counted from 0",
            found=f"line 1: {short(names)}",
            expected="a column by its name",
            next_step="set `header: false` if line 1 is a row, or name the column under `fetch.dataset` in params.yaml",
        )
    if names.count(column) != 1:
        raise DataError(
            f"{path} has {'no' if column not in names else 'more than one'} column {column!r}",
            found=f"the columns {short(names)}" if names else "no columns",
            next_step=separator_offer(start)
            or _quotes_offer(start, column)
            or _header_offer(names)
            or "correct text_column and label_column under `fetch.dataset` in params.yaml",
        )
    return names.index(column)


def separator_offer(start: FirstLine, other: str | None = None) -> str | None:
    """Offer another separator, if the file looks like it.

    Args:
        start: the first line; with the offered separator it must have the columns of the mapping.
        other: one more line, which must have as many columns.

    Returns:
        The next step for the user, or None.
    """
    if start.reader.format not in DELIMITED:
        return None
    wanted = [start.reader.text_column, start.reader.label_column]
    for separator in _OFFERED:
        columns = _split(start.line, separator)
        if separator == start.separator or len(columns) < _SEVERAL:
            continue
        fits = all(column in columns if isinstance(column, str) else column < len(columns) for column in wanted)
        if fits and (other is None or len(_split(other, separator)) == len(columns)):
            shown = '"\\t"' if separator == "\t" else f'"{separator}"'
            return f"set `separator: {shown}` under `fetch.dataset`: line 1 then has the columns {short(columns)}"
    return None


def _split(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _quotes_offer(start: FirstLine, column: str) -> str | None:
    if not start.reader.quotes_enclose and column in _split(start.line, start.separator):
        return "set `quoted: true` under `fetch.dataset`: double quotes enclose the fields of this file"
    return None


def _header_offer(names: list[str]) -> str | None:
    if any(len(name.split()) > _NAME_WORDS for name in names):
        return (
            "line 1 looks like a row: if the file has no header set `header: false` and count the columns from 0, such "
            "as `text_column: 0`, `label_column: 1`"
        )
    return None
