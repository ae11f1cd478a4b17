"""Code lists: JSON files that say of which modules a stage is made, `{path: digest}`. Stages depend on them.

`check` writes those of the main pipeline into data/code, the first stage of another pipeline its own into
data/NAME/code: `<script>.json`, or `<script>-<item>.json` where the items of a stage are made of different modules. The
first stages themselves depend on all of src/pipestill and stages, so they rerun at every edit and no other stage need.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipestill.code.closure import closure
from pipestill.code.digest import module_digest
from pipestill.code.tree import file_of
from pipestill.errors import ParamsError
from pipestill.records import read_json, write_json

SOURCES = Path("src/pipestill")
SCRIPTS = Path("stages")
"""The folders that `check` depends on as a whole."""
FOLDER = "code"
"""The name of the folders that hold code lists, and nothing else."""

CodeList = dict[str, str]
"""Digests by the module's path, sorted; `path.py:Class` for the settings of one loss or student."""


def is_code_list(path: str) -> bool:
    """Return whether a path of dvc.yaml or dvc.lock is that of a code list."""
    return path.startswith("data/") and Path(path).parent.name == FOLDER


def is_code(path: str) -> bool:
    """Return whether a dependency is code: a code list, a folder of sources, or, in old run records, a module."""
    return is_code_list(path) or path in {SOURCES.as_posix(), SCRIPTS.as_posix()} or path.endswith(".py")


def code_list(script: Path, more: Iterable[str] = ()) -> CodeList:
    """Digest the modules that a stage is made of.

    Args:
        script: file of the stage in stages/.
        more: files that params name; the script's imports need not show them.
    """
    files = sorted({script.as_posix(), *closure(script), *more})
    return {file: module_digest(Path(file)) for file in files}


def write_code_lists(
    pipeline: Mapping[str, Any], stage: str, members: Mapping[str, Mapping[str, Iterable[str]]]
) -> None:
    """Write every code list among the outs of a stage.

    Args:
        pipeline: the top-level mapping of a dvc.yaml.
        stage: name of the stage that writes the code lists.
        members: by script and item, the files that the item's params name; under the item "" those that all items do.

    Raises:
        ParamsError: the outs name an item that params do not have.
    """
    for out in filter(is_code_list, pipeline["stages"][stage]["outs"]):
        script, _, item = Path(out).stem.partition("-")
        if item and item not in members.get(script, {}):
            raise ParamsError(
                f"unknown code list: {out}",
                found=f"no {item} in params.yaml",
                expected=", ".join(filter(None, members.get(script, {}))) or f"one list for all of {script}",
                next_step="run `make deps`",
            )
        of_script = members.get(script, {})
        more = {*of_script.get("", ()), *of_script.get(item, ())}
        write_json(Path(out), code_list(SCRIPTS / f"{script}.py", more))


def read_code_lists(deps: Iterable[str]) -> CodeList:
    """Read the modules and digests in those of a stage's dependencies that are code lists."""
    found: CodeList = {}
    for dep in filter(is_code_list, deps):
        found |= read_json(Path(dep))
    return found


def changed_files(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """List the modules in which two code lists differ, sorted: changed, added and gone ones."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def changed_since(before: Mapping[str, str]) -> list[str]:
    """List the modules whose source differs from the digests of a code list, deleted ones included.

    A module that is new to the stage is not named: another one must have changed to import it.
    """
    now = {path: module_digest(Path(path)) for path in before if file_of(Path(path)).is_file()}
    return changed_files(before, now)


def short(path: str) -> str:
    """Shorten a module's path for messages: inside pipestill without the way there."""
    return path.removeprefix("src/pipestill/")
