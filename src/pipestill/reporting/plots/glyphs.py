"""Fonts for user texts in figures: those of this machine that have the characters, and a substitute without one.

matplotlib's own DejaVu Sans comes first. It has Latin, Greek, Cyrillic, Arabic, Hebrew and many symbols, so a figure
that needs no other characters looks the same on every machine. For others (Chinese, Hindi, emoji, ...) matplotlib falls
back to the next font of a list, character by character. A font for all of them is too large to ship, so those installed
on the machine are used.
"""

import re
from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager
from matplotlib.font_manager import FontPath, fontManager
from matplotlib.ft2font import LoadFlags

from pipestill.data.look_alikes import visible

FIRST = "DejaVu Sans"
PREFERRED = (
    # Chinese, Japanese and Korean
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Noto Sans JP", "Yu Gothic", "Noto Sans KR",
    "Apple SD Gothic Neo", "Malgun Gothic",
    # the scripts of India
    "Noto Sans Devanagari", "Kohinoor Devanagari", "Nirmala UI", "Lohit Devanagari",
    # Thai and other scripts of South-East Asia
    "Noto Sans Thai", "Thonburi", "Leelawadee UI",
    # emoji, in one colour: matplotlib draws no bitmaps
    "Noto Emoji", "Segoe UI Emoji", "Segoe UI Symbol", "Symbola",
    # most scripts
    "Arial Unicode MS",
)  # fmt: skip
"""Families to search first, script by script; any other font that has the character comes after them, by name."""
NORMAL_WEIGHT = 400
_MISLEADING = re.compile(r"\.?Last ?Resort.*|cm[a-z]{1,3}10|STIX(NonUnicode|Size).*", re.IGNORECASE)
"""Fonts with misleading glyphs: boxes for whole scripts, or parts of formulas, in place of the character."""


def families(texts: Iterable[str]) -> list[str]:
    """List the families that draw some texts: DejaVu Sans, then one for each kind of character that it lacks."""
    found = [FIRST]
    for char in dict.fromkeys("".join(texts)):
        if not any(_has(family, char) for family in found) and (family := family_of(char)):
            found.append(family)
    return found


def is_drawable(text: str) -> bool:
    """Return whether the fonts of this machine have every character of a text."""
    return all(family_of(char) for char in text)


def drawable(text: str) -> str:
    r"""Replace each character that no font has, or that is invisible, by its escape, such as `\u4f53`."""
    return "".join(char if family_of(char) else _escape(char) for char in visible(text))


@cache
def family_of(char: str) -> str | None:
    """Find the first family that has a character, or None."""
    if _has(FIRST, char):
        return FIRST
    return next((family for family in _others() if _has(family, char)), None)


@cache
def _others() -> tuple[str, ...]:
    """List all other families of this machine, the preferred ones first."""
    _add_new_fonts()
    names = {font.name for font in fontManager.ttflist} - {FIRST}
    useful = sorted(name for name in names if not _MISLEADING.fullmatch(name))
    return (*(name for name in PREFERRED if name in names), *(name for name in useful if name not in PREFERRED))


def _add_new_fonts() -> None:
    """Add the fonts that were installed since matplotlib wrote its list, which it keeps in the user's cache."""
    known = {str(font.fname) for font in fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except Exception:  # noqa: BLE001, S112 (a damaged font, or one of bitmaps, is of no use and no fault here)
            continue


@cache
def _has(family: str, char: str) -> bool:
    """Return whether a family has a character, with an outline unless it is a space."""
    try:
        font = font_manager.get_font(_path_of(family))
        glyph = font.get_char_index(ord(char))
        if not glyph:
            return False
        font.load_glyph(glyph, LoadFlags.NO_SCALE)
        return char.isspace() or len(font.get_path()[1]) > 0
    except Exception:  # noqa: BLE001 (a font that cannot be read has no characters)
        return False


@cache
def _path_of(family: str) -> FontPath:
    """Return the file of a family's upright face of normal weight, or of the nearest face."""
    faces = [font for font in fontManager.ttflist if font.name == family]
    best = min(faces, key=lambda font: (font.style != "normal", _distance(font.weight), font.fname))
    return FontPath(best.fname, best.index)


def _distance(weight: str | int) -> int:
    """Measure a weight's distance from the normal one; a weight given as a word counts as normal."""
    return abs(weight - NORMAL_WEIGHT) if isinstance(weight, int) else 0


def _escape(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode()
