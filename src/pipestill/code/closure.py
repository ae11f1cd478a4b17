"""Import closures: the source files that a piece of code is made of, by its imports inside pipestill, direct or not.

DVC sees files, not imports: from here come the code lists that stages depend on (docs/decisions/0017).
"""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

SRC = Path("src")
"""Relative to the repository root, where every stage runs."""

CHOSEN_BY_PARAMS = ("pipestill.losses", "pipestill.students")
"""Packages whose members a student's params name: the student is made of those, and of no other."""

REGISTRATIONS = (*CHOSEN_BY_PARAMS, "pipestill.exporters")
"""Packages whose __init__ only lists members; code depends on the members it uses, not on the list."""

ARCHITECTURES = SRC / "pipestill/architectures"
"""Modules of our own that a saved student names in its config; loaded by that name, so no import shows them."""

EXEMPT = (SRC / "pipestill/tracking", SRC / "pipestill/progress.py")
"""In no code list: run records and progress bars can change no other out (docs/decisions/0003, 0017)."""


@cache
def closure(script: Path) -> frozenset[str]:
    """List the files of pipestill that a file imports, directly or not, but for registration lists and exempt ones."""
    found: set[Path] = set()
    todo = set(imports(script))
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo |= imports(path)
    return frozenset(path.as_posix() for path in found)


@cache
def imports(path: Path) -> frozenset[Path]:
    """List the files of pipestill that a file names in its imports, with the __init__ of every package on the way.

    Imports inside functions count too. Registration lists and exempt files are left out.
    """
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
    return frozenset(file for file in files - {path} - _registration_files() if not is_exempt(file))


def is_exempt(file: Path) -> bool:
    """Return whether a file of pipestill is in no code list, by `EXEMPT`."""
    return any(exempt == file or exempt in file.parents for exempt in EXEMPT)


def members_in(section: BaseModel) -> frozenset[Path]:
    """List the losses and architectures that a parsed section of params.yaml names, wherever in it they stand."""
    found: set[Path] = set()
    todo: list[Any] = [section]
    while todo:
        value = todo.pop()
        if isinstance(value, BaseModel):
            module = type(value).__module__
            if module.rpartition(".")[0] in CHOSEN_BY_PARAMS and not module.rpartition(".")[2].startswith("_"):
                found |= _file_of(module)
            todo += [getattr(value, name) for name in type(value).model_fields]
        elif isinstance(value, tuple | list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
    return frozenset(found)


def training_code(section: BaseModel) -> tuple[str, ...]:
    """List the files that the members named by a section are made of, sorted."""
    files: set[str] = set()
    for member in members_in(section):
        files |= {member.as_posix(), *closure(member)}
    return tuple(sorted(files))


def loading_code(section: BaseModel) -> tuple[str, ...]:
    """List those of them that loading the trained model needs: the modules of architectures of our own."""
    return tuple(path for path in training_code(section) if ARCHITECTURES in Path(path).parents)


@cache
def _registration_files() -> frozenset[Path]:
    return frozenset(SRC / package.replace(".", "/") / "__init__.py" for package in REGISTRATIONS)


def _file_of(module: str) -> set[Path]:
    path = SRC / module.replace(".", "/")
    return {file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}
