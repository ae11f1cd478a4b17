"""Which source files a piece of code is made of: its imports inside pipestill, direct or not.

DVC sees files, not imports. Two lists come from here: the code dependencies in dvc.yaml, and for each student the files
that its params name (docs/decisions/0002, 0006).
"""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

SRC = Path("src")
"""Relative to the repository root, where every stage runs."""

REGISTRATIONS = ("pipestill.losses", "pipestill.students")
"""Packages whose __init__ only lists members; code depends on the members it uses, not on the list."""

ARCHITECTURES = SRC / "pipestill/architectures"
"""Modules of our own that a saved student names in its config; loaded by that name, so no import shows them."""

TRACKING = SRC / "pipestill/tracking"
"""No dependency of anything: it writes run records and can change no other out (docs/decisions/0003)."""


@cache
def closure(script: Path, *, follow_lists: bool = False) -> frozenset[str]:
    """The files of pipestill that a file imports, directly or not.

    Args:
        script: a Python file.
        follow_lists: whether registration lists count and lead on to every member.
    """
    left_out = frozenset() if follow_lists else _registration_files()
    found: set[Path] = set()
    todo = set(imports(script) - left_out)
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo |= imports(path) - left_out
    return frozenset(path.as_posix() for path in found)


@cache
def imports(path: Path) -> frozenset[Path]:
    """The files of pipestill that a file names in its imports, with the __init__ of every package on the way."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files: set[Path] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == "pipestill":
            for length in range(1, len(parts) + 1):
                files |= _file_of(".".join(parts[:length]))
    return frozenset(file for file in files - {path} if TRACKING not in file.parents)


def members_in(section: BaseModel) -> frozenset[Path]:
    """The members of registration packages that a parsed section of params.yaml names, wherever in it they stand."""
    found: set[Path] = set()
    todo: list[Any] = [section]
    while todo:
        value = todo.pop()
        if isinstance(value, BaseModel):
            module = type(value).__module__
            if module.rpartition(".")[0] in REGISTRATIONS and not module.rpartition(".")[2].startswith("_"):
                found |= _file_of(module)
            todo += [getattr(value, name) for name in type(value).model_fields]
        elif isinstance(value, tuple | list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
    return frozenset(found)


def training_code(section: BaseModel) -> tuple[str, ...]:
    """The files that the members named by a section are made of, sorted."""
    files: set[str] = set()
    for member in members_in(section):
        files |= {member.as_posix(), *closure(member)}
    return tuple(sorted(files))


def loading_code(section: BaseModel) -> tuple[str, ...]:
    """Those of them that are read whenever the trained model is loaded: the modules of architectures of our own."""
    return tuple(path for path in training_code(section) if ARCHITECTURES in Path(path).parents)


@cache
def _registration_files() -> frozenset[Path]:
    return frozenset(SRC / package.replace(".", "/") / "__init__.py" for package in REGISTRATIONS)


def _file_of(module: str) -> set[Path]:
    path = SRC / module.replace(".", "/")
    return {file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}
