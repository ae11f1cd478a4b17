"""Detection of quoted fields that swallow whole rows, because an opening quote is closed many rows later.

By the rules of csv such a field is well-formed, so the lines inside it decide. A line that has as many columns as the
file, and in the label's column a label that other rows have, is a row. Texts of several lines are valid and counted.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipestill.data.raw_rows import short
from pipestill.errors import DataError

KNOWN_LABELS = 10_000
"""Most labels to remember; a column with more distinct values does not hold classes."""
_SEVERAL = 2
"""Least lines that look like rows before a field counts as swallowed rows: a text of several lines has one line with
its label."""
_PENDING = 1000
"""Most fields to keep for a second look at the end of the file, since their lines have labels not seen before."""


class _Suspect(NamedTuple):
    """A record of several lines: line number, first line, number of lines, and labels of lines that look like rows."""

    line: int
    first: str
    num_lines: int
    labels: tuple[str, ...]


class SwallowedRows:
    """Watches the records of one file.

    Args:
        path: file name for messages.
        separator: character between columns.
        label_at: place of the label among the columns; None where the file has no labels.
        any_number: whether any number is a label (`label_rule: sign`).
    """

    def __init__(self, path: Path, separator: str, label_at: int | None, *, any_number: bool) -> None:
        self._path = path
        self._separator = separator
        self._label_at = label_at
        self._any_number = any_number
        self._pending: list[_Suspect] = []
        self.labels: set[str] = set()
        """Labels of the file's records, uncleaned, up to `KNOWN_LABELS` of them."""
        self.num_records = 0
        """Records of several lines."""
        self.longest = (0, 0)
        """The lines of the longest of them, and the line it begins on."""

    def knows(self, label: str) -> bool:
        """Return whether a record has this label; true if there are more labels than are remembered."""
        return label in self.labels or len(self.labels) >= KNOWN_LABELS

    def see(self, line: int, lines: Sequence[str], width: int) -> None:
        """Look at a record of several lines.

        Args:
            line: line on which it begins.
            lines: lines of the record, unchanged.
            width: columns of the file.

        Raises:
            DataError: it holds whole rows.
        """
        self.num_records += 1
        self.longest = max(self.longest, (len(lines), -line))
        filled = [one.rstrip("\n") for one in lines if one.strip()]
        parts = [fields for fields in (one.split(self._separator) for one in filled) if len(fields) == width]
        if width == 1 or len(parts) < _SEVERAL or 2 * len(parts) < len(filled):
            return
        if self._label_at is None:
            if len(parts) == len(filled) and all(_written_by_program(fields) for fields in parts):
                raise self._error(_Suspect(line, lines[0], len(parts), ()))
            return
        suspect = _Suspect(line, lines[0], len(filled), tuple(fields[self._label_at].strip('"') for fields in parts))
        if self._is_rows(suspect):
            raise self._error(suspect)
        if len(self._pending) < _PENDING:
            self._pending.append(suspect)

    def finish(self) -> str | None:
        """Decide on the fields kept for a second look, and return a note if a field has several lines.

        Raises:
            DataError: a record holds whole rows.
        """
        for suspect in self._pending:
            if self._is_rows(suspect):
                raise self._error(suspect)
        if not self.num_records:
            return None
        length, line = self.longest
        return (
            f"{self._path.name}: {self.num_records:,} row(s) have line ends in a quoted field; the longest, on line "
            f"{-line}, takes {length:,} lines. If that is more than one text, its quotes do not match"
        )

    def _is_rows(self, suspect: _Suspect) -> bool:
        known = sum(_is_number(label) if self._any_number else label in self.labels for label in suspect.labels)
        return known >= _SEVERAL and 2 * known >= suspect.num_lines

    def _error(self, suspect: _Suspect) -> DataError:
        return DataError(
            f"{self._path}, line {suspect.line}: a quoted field holds whole rows",
            found=f"{suspect.num_lines} lines that are rows of their own, from {short(suspect.first.rstrip())} on",
            expected='a quoted field "like this", with a quote inside it doubled ("")',
            next_step="correct the quotes of that line, or set `quoted: false` if quotes are ordinary characters in "
            "this file; a text that really holds such lines can come as jsonl",
        )


def _written_by_program(fields: Sequence[str]) -> bool:
    """Return whether a program wrote the line: unlike prose, its separators are not followed by spaces."""
    return all(field == field.strip() for field in fields)


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
