"""Cleaning one text: pure functions that return the text and the names of their repairs."""

import html
import re
import unicodedata
from html.entities import html5
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from pipestill.params import Section

_SPACES = re.compile(r"\s+")
# Controls but not white space; the byte order mark, which is invisible and splits words; non-characters.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
# With its semicolon: browsers also read `&copy=2` as an entity, but in ordinary text it is a link's parameter.
_ENTITY = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_SURROGATES = re.compile("[\ud800-\udfff]")
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
INVISIBLE = re.compile(f"[{_INVISIBLE}]")
"""Characters without a visible glyph: Unicode's Default_Ignorable_Code_Point, blank fillers, annotation marks."""
_VISIBLE = re.compile(rf"[^\s{_INVISIBLE}]")


class CleaningRules(Section):
    """The optional steps of cleaning; Unicode NFC, control characters and white space are always repaired."""

    unescape_html: bool
    max_chars: Annotated[int, Field(ge=1)]
    over_long: Literal["cut", "drop"]


class Cleaned(NamedTuple):
    """A text after cleaning.

    Attributes:
        text: the cleaned text; None where the row has to be dropped.
        repairs: names of the repairs that were made.
        reason: reason to drop the row, or None.
    """

    text: str | None
    repairs: tuple[str, ...]
    reason: str | None


def clean_text(text: str, rules: CleaningRules) -> Cleaned:
    """Clean a text.

    Args:
        text: text to clean, any string.
        rules: optional steps to apply.

    Returns:
        The cleaned text with its repairs, or the reason to drop the row.
    """
    repairs = []
    for name, repair in _REPAIRS:
        if name == "html_entities" and not rules.unescape_html:
            continue
        mended = repair(text)
        if mended != text:
            repairs.append(name)
            text = mended
    if not _VISIBLE.search(text):
        return Cleaned(None, tuple(repairs), "blank_text")
    if len(text) > rules.max_chars:
        if rules.over_long == "drop":
            return Cleaned(None, tuple(repairs), "over_long")
        repairs.append("cut_over_long")
        text = text[: rules.max_chars].rstrip()
    return Cleaned(text, tuple(repairs), None)


def clean_label(label: str) -> str:
    """Clean a label: NFC, no control characters, single spaces. Case and digits stay; an invisible label is blank."""
    for name, repair in _REPAIRS:
        if name != "html_entities":
            label = repair(label)
    return label if _VISIBLE.search(label) else ""


def normalise(text: str) -> str:
    """Return a form that is equal for texts that differ in case, width, ligatures or white space only."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())).strip()


def _resolve(entity: re.Match[str]) -> str:
    written = entity[0]
    # An unknown name stays: html.unescape would resolve its first letters (`&notable;` begins with `&not`).
    return html.unescape(written) if written[1] == "#" else html5.get(written[1:], written)


def _squeeze(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


_REPAIRS = (
    ("html_entities", lambda text: _ENTITY.sub(_resolve, text)),
    ("lone_surrogates", lambda text: _SURROGATES.sub("\ufffd", text)),
    ("control_characters", lambda text: _CONTROLS.sub("", text)),
    ("unicode_nfc", lambda text: text if text.isascii() else unicodedata.normalize("NFC", text)),
    ("white_space", _squeeze),
)
"""Names and functions of the repairs, in order. All but `html_entities` are idempotent: entities are resolved once,
since a text about HTML writes `&lt;` as `&amp;lt;`."""
