"""The digest of a module: SHA-256 over its syntax tree, without comments and docstrings.

Layout, comments and docstrings change no digest; anything else does. All supported Pythons give the same digest, so a
tree is not printed by `ast.dump`, whose text differs between them: a newer Python knows more fields, which are empty on
older code, so empty fields are left out.
"""

import ast
from functools import cache
from pathlib import Path

from pipestill.code.tree import parse
from pipestill.fingerprint import sha256_bytes


@cache
def module_digest(path: Path) -> str:
    """Compute the digest of a file, or of one definition in it (see `tree`), 64 hexadecimal digits; cached."""
    return _tree_digest(parse(path))


def source_digest(source: str) -> str:
    """Compute the digest of a module's text, 64 hexadecimal digits."""
    return _tree_digest(ast.parse(source))


def _tree_digest(tree: ast.Module) -> str:
    parts: list[str] = []
    _write(tree, parts)
    return sha256_bytes("".join(parts).encode("utf-8", "surrogatepass"))


def _write(value: object, parts: list[str]) -> None:
    """Append a node, a list or a leaf in brackets, so that no two trees give one text."""
    if isinstance(value, ast.JoinedStr):
        value = ast.JoinedStr([part for part in value.values if not _is_empty_text(part)])
    if isinstance(value, ast.AST):
        parts.append(f"({type(value).__name__}")
        for name, field in ast.iter_fields(value):
            # `kind` tells u"" from "", which are the same text.
            if field is None or field == [] or (name == "kind" and isinstance(value, ast.Constant)):
                continue
            parts.append(f" {name}=")
            _write(field, parts)
        parts.append(")")
    elif isinstance(value, list):
        parts.append("[")
        for item in value:
            if not _is_text_statement(item):
                _write(item, parts)
        parts.append("]")
    else:
        parts.append(f"<{value!r}>")


def _is_text_statement(item: object) -> bool:
    """Return whether a statement is a text alone: a docstring of a module, a class, a function or an attribute."""
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)


def _is_empty_text(part: ast.expr) -> bool:
    """Return whether a piece of an f-string is empty: some Pythons write such pieces, others do not."""
    return isinstance(part, ast.Constant) and part.value == ""
