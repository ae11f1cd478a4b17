"""One row of a raw file, and the conversion of its values to a text and a label name."""

import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from pipestill.errors import DataError

_SHOWN_CHARS = 120
_HIDDEN_LABEL = -1
"""The number that data sets on the Hub give to withheld labels."""


class RawRow(NamedTuple):
    """One row of a file, unchanged: `line` counts from 1 (parquet: rows); None is a missing value."""

    line: int
    text: str | None
    label: str | None


def typed_row(path: Path, line: int, text: object, label: object, names: tuple[str, ...] = ()) -> RawRow:
    """Make a row of values that have types: a text must be a string, a label may also be a number or a truth value.

    Args:
        path: file name for messages.
        line: line or row of the file.
        text: value of the text column.
        label: value of the label column; a number is named as JSON writes it, and NaN is a missing value.
        names: label names by number, see `Reader.label_names`.

    Raises:
        DataError: the text is not a string, or the label is neither a string nor a number.
    """
    if text is not None and not isinstance(text, str):
        raise DataError(
            f"{path}, line {line}: the text is not a string",
            found=short(text),
            expected="a string",
            next_step="correct text_column under `fetch.dataset` in params.yaml, or the row",
        )
    if isinstance(label, float | Decimal) and math.isnan(label):
        label = None  # how pandas writes a missing value
    if label is not None and not isinstance(label, str | int | float | Decimal):
        raise DataError(
            f"{path}, line {line}: the label is not a string",
            found=short(label),
            expected="one label: a string, a number or a truth value",
            next_step="give each row one label, or correct label_column under `fetch.dataset` in params.yaml",
        )
    if label is None or isinstance(label, str):
        return RawRow(line, text, named_label(path, line, label, names) if names else label)
    written = str(label) if isinstance(label, Decimal) else json.dumps(label)
    return RawRow(line, text, named_label(path, line, written, names) if names else written)


def named_label(path: Path, line: int, label: str | None, names: tuple[str, ...]) -> str | None:
    """Return the name of a label that is given as a number.

    Returns:
        The name; a label that is one of the names as it is; None where it is missing or hidden (-1).

    Raises:
        DataError: the label is neither a name nor the number of one.
    """
    if label is None or not label.strip() or label in names:
        return label
    number = int(label) if re.fullmatch(r"\s*-?[0-9]{1,9}\s*", label) else None
    if number == _HIDDEN_LABEL:
        return None
    if number is None or not 0 <= number < len(names):
        raise DataError(
            f"{path}, line {line}: unknown label {short(label)}",
            found=f"the names {short(list(names))}",
            expected=f"one of them, or a number from 0 to {len(names) - 1} that stands for one",
        )
    return names[number]


def short(value: object) -> str:
    """Show a value in a message, cut where it is long."""
    try:
        text = repr(value)
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
