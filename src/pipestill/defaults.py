"""The section `student_defaults` of params.yaml: settings that students share, merged with each student's own.

A student's setting goes before the default. Mappings are merged key by key, but a mapping whose `kind` is not the
default's replaces it whole, since keys of one kind mean nothing to another. A list replaces the default's list.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipestill.params import refusals
from pipestill.records import write_json
from pipestill.student_files import SETTINGS, settings_file

DEFAULTS = "student_defaults"
STUDENTS = "students"
KIND = "kind"
OWN = ("init", "rows", "targets")
"""The paths that dvc.yaml takes from each student as dependencies of its training: DVC knows no defaults."""


def merge(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a student's own settings into the defaults."""
    merged = dict(defaults)
    for key, value in own.items():
        default = defaults.get(key)
        if isinstance(value, Mapping) and isinstance(default, Mapping) and _same_kind(default, value):
            merged[key] = merge(default, value)
        else:
            merged[key] = value
    return merged


def _same_kind(default: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Return whether a student's mapping is of the default's kind; without a `kind` of its own it is."""
    return KIND not in own or own[KIND] == default.get(KIND)


def with_defaults(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return params in which every student has all its settings, without the section of defaults.

    Without that section, or where it is not a mapping, the students stay as they are.
    """
    whole = {key: value for key, value in content.items() if key != DEFAULTS}
    defaults, students = content.get(DEFAULTS), content.get(STUDENTS)
    if isinstance(defaults, Mapping) and isinstance(students, Mapping):
        whole[STUDENTS] = {
            name: merge(defaults, own) if isinstance(own, Mapping) else own for name, own in students.items()
        }
    return whole


def default_refusals(content: Mapping[str, Any], kind: type[Any], own: Sequence[str] = ()) -> list[str]:
    """List the refused values of the defaults; keys may be missing, since students add theirs.

    Args:
        content: top-level mapping of params.yaml.
        kind: specification of a student.
        own: keys that only a student may have.
    """
    defaults = content.get(DEFAULTS)
    if not isinstance(defaults, Mapping):
        return [f"{DEFAULTS} (found {defaults!r}): a mapping of settings is needed, {{}} where students share nothing"]
    moved = [
        f"{DEFAULTS}.{key}: every student needs its own, so write it there: students.NAME.{key}"
        for key in own
        if key in defaults
    ]
    return moved + refusals(content, DEFAULTS, kind, partial=True)


def student_refusals(content: Mapping[str, Any], name: str, kind: type[Any]) -> list[str]:
    """List the refused values of a student, each under the key where it stands: the student's or the defaults'.

    Args:
        content: top-level mapping of params.yaml.
        name: name of the student.
        kind: specification of a student.
    """
    return refusals(with_defaults(content), f"{STUDENTS}.{name}", kind, lambda path: place(content, name, path))


def place(content: Mapping[str, Any], name: str, path: Sequence[str]) -> str:
    """Return the dotted key under which params.yaml sets a value of a student: its own, or that of the defaults.

    Args:
        content: top-level mapping of params.yaml.
        name: name of the student.
        path: keys from the student to the value.
    """
    own, default = content[STUDENTS][name], content.get(DEFAULTS)
    for part in path:
        under = default.get(part) if isinstance(default, Mapping) else None
        if not isinstance(own, Mapping) or part not in own:
            return ".".join((STUDENTS, name, *path) if under is None else (DEFAULTS, *path))
        own = own[part]
        is_merged = isinstance(own, Mapping) and isinstance(under, Mapping) and _same_kind(under, own)
        default = under if is_merged else None
    return ".".join((STUDENTS, name, *path))


def write_students(content: Mapping[str, Any], students: Mapping[str, BaseModel], folder: Path = SETTINGS) -> None:
    """Write the settings of each student into a file of its own, on which the student's stages depend.

    Values are written as they stand in params.yaml, in the order of the specification: the bytes change with the
    settings of this student alone, wherever these are set.

    Args:
        content: top-level mapping of params.yaml.
        students: the same students, parsed.
        folder: the pipeline's folder for these files.
    """
    settings = with_defaults(content)[STUDENTS]
    for name, student in students.items():
        write_json(settings_file(name, folder), _in_order(settings[name], student.model_dump(mode="json")))


def _in_order(value: Any, like: Any) -> Any:  # noqa: ANN401 (any YAML value)
    """Return a value with the keys of its mappings in the order that they have in another."""
    if isinstance(value, Mapping) and isinstance(like, Mapping):
        keys = sorted(value, key=[*like].index) if value.keys() <= like.keys() else sorted(value)
        return {key: _in_order(value[key], like.get(key)) for key in keys}
    if isinstance(value, list):
        others = like if isinstance(like, list) and len(like) == len(value) else [None] * len(value)
        return [_in_order(member, other) for member, other in zip(value, others, strict=True)]
    return value
