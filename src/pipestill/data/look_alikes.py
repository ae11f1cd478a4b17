"""Finding labels that look alike.

They differ in case, width, spaces, invisible or confusable characters, or in how a number is written. Each stays a
label of its own; the data card lists them.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from pipestill.data.cleaning import INVISIBLE, normalise

_LATIN_1 = 0xFF
_SPACES = re.compile(r"[\s_\-\u2010-\u2015\u2212]+")
_LATIN = str.maketrans(
    "аеорсухіјѕԁһӏвкмнтαοριυνκτ",
    "aeopcyxijsdhlbkmhtaopiuvkt",
)
"""Letters of other scripts that are drawn like a Latin one, in lower case."""


def look_alikes(labels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Group labels that look alike.

    Args:
        labels: labels without duplicates.

    Returns:
        The groups of two labels or more, each sorted, sorted.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[_appearance(label)].append(label)
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def visible(label: str) -> str:
    r"""Escape invisible characters of a label: a zero-width space becomes `\u200b`."""
    return "".join(char if char.isprintable() and not INVISIBLE.match(char) else _escaped(char) for char in label)


def _escaped(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode() if ord(char) > _LATIN_1 else f"\\x{ord(char):02x}"


def _appearance(label: str) -> str:
    text = normalise(INVISIBLE.sub("", label))
    try:
        return str(Decimal(text).normalize() + 0)
    except ArithmeticError:
        return _SPACES.sub(" ", unicodedata.normalize("NFC", text.translate(_LATIN))).strip()
