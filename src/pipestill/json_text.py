"""Parsing JSON from files of others: brackets nested too deeply are refused before a parser sees them.

Parsers recurse. Python's raises an error at a depth that depends on its version and on who calls it, and the one in
pyarrow ends the process.
"""

import codecs
import json
import re
from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 100
"""Deepest nesting of lists and objects; files of models and data sets have less than 20."""
_BRACKET = re.compile(r"[\[\]{}]")
_OPENING = "[{"


class NestingError(ValueError):
    """The brackets are nested more deeply than `MAX_DEPTH`."""

    def __init__(self) -> None:
        super().__init__(f"brackets nested too deeply: more than {MAX_DEPTH} levels")


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 (any JSON value)
    """Parse a JSON text.

    Args:
        text: the text; bytes are UTF-8, or UTF-16 or UTF-32 as JSON detects them.

    Raises:
        ValueError: it is not JSON, or its brackets are nested too deeply (NestingError).
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass").removeprefix(codecs.BOM_UTF8.decode())
    if text.count("[") + text.count("{") > MAX_DEPTH:
        refuse_deep([text])
    return json.loads(text)


def refuse_deep(chunks: Iterable[str]) -> None:
    """Refuse a JSON text whose brackets are nested too deeply; it is not parsed.

    Args:
        chunks: the parts of the text in order, cut anywhere.

    Raises:
        NestingError: it is.
    """
    depth, quoted, rest = 0, False, ""
    for chunk in chunks:
        text = (rest + chunk).replace("\\\\", "")
        rest = "\\" if text.endswith("\\") else ""
        for place, part in enumerate(text.removesuffix("\\").replace('\\"', "").split('"')):
            quoted = quoted != (place > 0)
            depth = depth if quoted else _follow(part, depth)


def _follow(part: str, depth: int) -> int:
    """Follow the brackets of a part outside strings and return the depth at its end; too deep is an error."""
    for match in _BRACKET.finditer(part):
        depth += 1 if match.group() in _OPENING else -1
        if depth > MAX_DEPTH:
            raise NestingError
    return depth
