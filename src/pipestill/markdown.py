"""Texts of users in Markdown: shown as they are, on one line, whatever signs are in them."""

import re

_MARKUP = re.compile(
    r"[\\`*\[\]|~$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word `_` is no markup
    r"|&(?=\#?\w+;)"
)
_BLOCK = re.compile(r"^([#+-](?=[#\s-]|$)|[=>]|\d+(?=[.)](?:\s|$)))")
"""A start of a line that would make it a heading, a list, a quotation or the line below a heading."""


def escaped(text: str) -> str:
    """Write a text so that Markdown and HTML show it as it is, in a paragraph, a list or a cell of a table."""
    line = _MARKUP.sub(r"\\\g<0>", " ".join(text.splitlines()).strip()).replace("<", "&lt;")
    return _BLOCK.sub(lambda start: f"{start[1]}\\" if start[1].isdigit() else f"\\{start[1]}", line)
