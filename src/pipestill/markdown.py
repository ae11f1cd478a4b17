"""Escaping of user texts in Markdown, shown literally and on one line."""

import re

_MARKUP = re.compile(
    r"[\\`*\[\]|~$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word `_` is not markup
    r"|&(?=\#?\w+;)"
)
_BLOCK = re.compile(r"^([#+-](?=[#\s-]|$)|[=>]|\d+(?=[.)](?:\s|$)))")
"""Start of a line that Markdown reads as a heading, a list, a quotation or the line below a heading."""


def escaped(text: str) -> str:
    """Escape a text so that Markdown and HTML show it literally, in a paragraph, a list or a cell of a table."""
    line = _MARKUP.sub(r"\\\g<0>", " ".join(text.splitlines()).strip()).replace("<", "&lt;")
    return _BLOCK.sub(lambda start: f"{start[1]}\\" if start[1].isdigit() else f"\\{start[1]}", line)
