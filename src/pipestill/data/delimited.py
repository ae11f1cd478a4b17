"""Rows of csv, tsv and Orange's tab files."""

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from pipestill.data.decoding import bare_cr, decoded_lines
from pipestill.data.headers import FirstLine, column_place, separator_of_first_line, separator_offer
from pipestill.data.raw_rows import RawRow, named_label, short
from pipestill.data.swallowed import KNOWN_LABELS, SwallowedRows
from pipestill.errors import DataError
from pipestill.raw import Reader

MAX_FIELD_CHARS = 16 << 20
"""Longest field, which bounds how much of a file a quote that is never closed can swallow."""
_SHARE_IN_QUOTES = 0.2


_Record = tuple[int, list[str], list[str]]
"""The line that a row begins on, its columns, and its lines where it has several."""


def delimited_rows(
    path: Path, reader: Reader, *, labelled: bool, repairs: Counter[str], notes: list[str]
) -> Iterator[RawRow]:
    """Read the rows of a file whose columns are split by a separator; see `reading.read_rows`."""
    lines = decoded_lines(path, repairs)
    first = next(lines, "")
    separator, num_skipped = separator_of_first_line(path, first, reader)
    if num_skipped:
        repairs["separator_line"] += 1
        first = next(lines, "")
    records = _records(path, chain([first], lines), separator, num_skipped, quoted=reader.quotes_enclose)
    names = next(records, (1, [], []))[1] if reader.header or reader.format == "tab" else None
    if reader.format == "tab":
        records = islice(records, 2, None)  # the kinds and roles of columns, which Orange needs and we do not
    start = FirstLine(path, reader, separator, first, names)
    text_at = column_place(reader.text_column, start)
    label_at = column_place(reader.label_column, start) if labelled else None
    yield from _rows(records, start, text_at, label_at, repairs, notes)


def _rows(
    records: Iterator[_Record],
    start: FirstLine,
    text_at: int,
    label_at: int | None,
    repairs: Counter[str],
    notes: list[str],
) -> Iterator[RawRow]:
    path, reader = start.path, start.reader
    watch = SwallowedRows(path, start.separator, label_at, any_number=reader.label_rule == "sign")
    quotes = None if reader.quotes_enclose else _StrayQuotes(path)
    labels, num_rows = watch.labels, 0
    label: str | None = None
    width = len(start.names) if start.names is not None else None
    for line, fields, lines in records:
        if not fields or (fields == [""] and width != 1):
            repairs["blank_lines"] += 1
            continue
        width = width or len(fields)
        if len(fields) != width or text_at >= width or (label_at is not None and label_at >= width):
            raise _wrong_width(start, line, fields, width)
        text = fields[text_at]
        if label_at is not None:
            label = fields[label_at]
            if label not in labels and len(labels) < KNOWN_LABELS and not start.awaits_row:
                labels.add(label)
        if lines:
            repairs["line_ends_in_quotes"] += 1
            watch.see(line, lines, width)
        if quotes is not None and (text[:1] == '"' or (label is not None and label[:1] == '"')):
            quotes.see(text, label)
        if start.names is None:
            start.see(line, text, label)
        if reader.label_names:
            label = named_label(path, line, label, reader.label_names)
        yield RawRow(line, text, label)
        num_rows += 1
    start.finish(watch.knows)
    found = (watch.finish(), None if quotes is None else quotes.finish(num_rows))
    notes += [note for note in found if note is not None]


def _records(path: Path, lines: Iterator[str], separator: str, num_skipped: int, *, quoted: bool) -> Iterator[_Record]:
    """Split a file into records; Orange's short header lines are yielded unchanged."""
    if not quoted:
        for number, line in enumerate(lines, start=num_skipped + 1):
            if "\r" in line:
                raise bare_cr(path, number)
            yield number, line.removesuffix("\n").split(separator), []
        return
    csv.field_size_limit(MAX_FIELD_CHARS)
    held: list[str] = []
    parser = csv.reader(_held(lines, held), delimiter=separator, strict=True)
    while True:
        start = num_skipped + parser.line_num + 1
        held.clear()
        try:
            fields = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            if "new-line character" in str(error):
                raise bare_cr(path, num_skipped + parser.line_num) from error
            raise DataError(
                f"{path}, line {start}: the quotes do not match",
                found=f"{error}, up to line {num_skipped + parser.line_num}",
                expected='a quoted field "like this", with a quote inside it doubled ("")',
                next_step="correct the line, or set `quoted: false` if quotes are ordinary characters in this file",
            ) from error
        yield start, fields, held.copy() if len(held) > 1 else []


def _held(lines: Iterator[str], held: list[str]) -> Iterator[str]:
    for line in lines:
        held.append(line)
        yield line


def _wrong_width(start: FirstLine, line: int, fields: list[str], width: int) -> DataError:
    offer = separator_offer(start, start.separator.join(fields))
    if len(fields) == width:
        return DataError(
            f"{start.path} lacks a column of the mapping",
            found=f"{width} column(s) on line {line}: {short(fields)}",
            expected=f"columns {start.reader.text_column} and {start.reader.label_column}, counted from 0",
            next_step=offer or "correct text_column and label_column under `fetch.dataset` in params.yaml",
        )
    mend = (
        "put a text that holds the separator or a quote in double quotes"
        if start.reader.quotes_enclose
        else "set `quoted: true` if double quotes enclose the fields of this file"
    )
    return DataError(
        f"{start.path}, line {line} has {len(fields)} columns",
        found=short(fields),
        expected=f"{width} columns, as in the first line",
        next_step=offer or mend,
    )


class _StrayQuotes:
    """Counter of texts in double quotes, in a file whose quotes are read as ordinary characters."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._num_texts = 0
        self._num_sure = 0

    def see(self, text: str, label: str | None) -> None:
        if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
            self._num_texts += 1
            self._num_sure += '""' in text[1:-1]
        elif label and label[0] == '"' == label[-1] and len(label) > 1:
            self._num_sure += 1

    def finish(self, num_rows: int) -> str | None:
        if not self._num_sure and self._num_texts <= _SHARE_IN_QUOTES * num_rows:
            return None
        return (
            f"{self._path.name}: {max(self._num_texts, self._num_sure):,} row(s) have a field in double quotes, which "
            "stay part of it; set `quoted: true` if quotes enclose the fields of this file"
        )
