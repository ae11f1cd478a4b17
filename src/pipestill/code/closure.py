"""Import closures: the source files that a piece of code is made of, by its imports inside pipestill, direct or not.

DVC sees files, not imports: from here come the code lists that stages depend on (docs/decisions/0017).
"""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipestill.code.tree import file_of, parse

SRC = Path("src")
"""Relative to the repository root, where every stage runs."""

SETTINGS = {
    SRC / "pipestill/losses/params.py": "Loss",
    SRC / "pipestill/students/params.py": "StudentKind",
    SRC / "pipestill/mlm/params.py": "",
}
"""Modules with settings of several owners, a class each, and the name of their union. Code depends on the classes that
it or its params name, `path.py:Class` in a code list, and by them on the losses and students of their kinds; nothing
depends on the union."""

REGISTRATIONS = ("pipestill.exporters",)
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
    files = _member(path)
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            for settings in _file_of(node.module) & {*SETTINGS}:
                used = {alias.name for alias in node.names} - {SETTINGS[settings]}
                files |= {settings.with_name(f"{settings.name}:{name}") for name in used}
    for name in names:
        parts = name.split(".")
        if parts[0] == "pipestill":
            for length in range(1, len(parts) + 1):
                files |= _file_of(".".join(parts[:length]))
    lists = {*SETTINGS, *_registration_files()}
    return frozenset(file for file in files - lists - {path} if not is_exempt(file))


def is_exempt(file: Path) -> bool:
    """Return whether a file of pipestill is in no code list, by `EXEMPT`."""
    return any(exempt == file or exempt in file.parents for exempt in EXEMPT)


def named_code(section: BaseModel) -> tuple[str, ...]:
    """List the files of the losses, architectures and export formats that a section of params.yaml names, sorted.

    No import of a stage's script shows them.
    """
    files: set[str] = set()
    todo: list[Any] = [section]
    while todo:
        value = todo.pop()
        if isinstance(value, BaseModel):
            for member in _member_of(type(value)):
                files |= {member.as_posix(), *closure(member)}
            todo += [getattr(value, name) for name in type(value).model_fields]
        elif isinstance(value, tuple | list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
    return tuple(sorted(files))


def loading_code(section: BaseModel) -> tuple[str, ...]:
    """List those of them that loading the trained model needs: the modules of architectures of our own."""
    return tuple(path for path in named_code(section) if ARCHITECTURES in Path(path).parents)


def _member_of(kind: type[BaseModel]) -> set[Path]:
    """Find the class of settings, or the registered module, that defines a specification; none for any other."""
    files = _file_of(kind.__module__)
    settings = {file.with_name(f"{file.name}:{kind.__name__}") for file in files & {*SETTINGS}}
    return settings or (files if kind.__module__.rpartition(".")[0] in REGISTRATIONS else set())


def _member(path: Path) -> set[Path]:
    """Find the module of the loss or student whose settings a path stands for: it is called as their `kind`."""
    if file_of(path) not in SETTINGS:
        return set()
    kinds = {
        node.annotation.slice.value
        for node in ast.walk(parse(path))
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "kind"
        and isinstance(node.annotation, ast.Subscript)
        and isinstance(node.annotation.slice, ast.Constant)
    }
    members = {path.with_name(f"{kind}.py") for kind in kinds if isinstance(kind, str)}
    return {file for file in members if file.is_file()}


@cache
def _registration_files() -> frozenset[Path]:
    return frozenset(SRC / package.replace(".", "/") / "__init__.py" for package in REGISTRATIONS)


def _file_of(module: str) -> set[Path]:
    path = SRC / module.replace(".", "/")
    return {file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}
