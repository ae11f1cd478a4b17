"""Write into dvc.yaml the dependencies that can be computed: each stage's code, and the artifacts of each student.

Code: the script of a stage and every module of pipestill that it imports, directly or not. The members of a
registration package (losses, students) count only where a stage's params name them, so that adding one reruns nothing;
tracking never counts.

Artifacts: the stages that read every student's results list them one by one. A folder as a dependency would do with
plain `dvc repro`, but with `--pull --allow-missing` DVC would run the stage on the few folders that happen to be there.

Usage: `python tools/sync_deps.py` writes, `--check` only says what is out of date and exits with 1.
"""

import argparse
import ast
import io
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

SRC = Path("src")
PIPELINE = Path("dvc.yaml")
PARAMS = Path("params.yaml")
REGISTRATIONS = ("pipestill.losses", "pipestill.students")
"""Packages whose __init__ only lists members; a stage depends on the members it uses, not on the list."""

TRACKING = SRC / "pipestill/tracking"
"""No dependency of any stage: it writes the run record and can change no other out (docs/decisions/0003)."""

FOLLOWS_LISTS = ("check",)
"""Stages that read every member of a registration package."""

NAMED_BY_PARAMS = {
    "distill": (
        "src/pipestill/losses/*.py",  # a list of any length: a template cannot name its members
        "src/pipestill/students/${item.architecture.kind}.py",
    )
}
"""Members of registration packages by stage."""

ARTIFACTS = {
    "benchmark": ("models/onnx/{model}",),
    "report": (
        "metrics/evaluate/{model}.json",
        "metrics/training/{model}.json",
    ),
}
"""What the stages at the end read of the teacher and of every student."""


def main() -> int:
    """Write or check dvc.yaml; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if dvc.yaml is out of date")
    check = parser.parse_args().check
    before = PIPELINE.read_text(encoding="utf-8")
    after = synced(before, list(_yaml().load(PARAMS)["students"]))
    if before == after:
        return 0
    if check:
        print("dvc.yaml is out of date: run `make deps`", file=sys.stderr)
        return 1
    PIPELINE.write_text(after, encoding="utf-8")
    return 0


def synced(pipeline: str, students: list[str]) -> str:
    """The text of dvc.yaml with its computed dependencies brought up to date."""
    content = _yaml().load(pipeline)
    for name, definition in content["stages"].items():
        stage: CommentedMap = definition.get("do", definition)
        wanted = [*_artifacts(name, students), *code_deps(name, str(stage["cmd"]).split()[1])]
        old = stage.get("deps") or CommentedSeq()
        kept = [dep for dep in old if not _is_computed(name, dep)]
        if [*kept, *wanted] != list(old):
            for index in reversed([index for index, dep in enumerate(old) if dep not in kept]):
                del old[index]
            old.extend(wanted)
            stage["deps"] = old
    buffer = io.StringIO()
    _yaml().dump(content, buffer)
    return buffer.getvalue()


def code_deps(stage: str, script: str) -> list[str]:
    """The script of a stage, the files it imports and the members its params name, sorted."""
    named = [path for pattern in NAMED_BY_PARAMS.get(stage, ()) for path in _files_of(pattern)]
    folders = {str(Path(path).parent) for path in named}
    imported = set(closure(Path(script), follow_lists=stage in FOLLOWS_LISTS))
    for folder in folders:  # what the members themselves import, such as their base
        imported.update(*(closure(member) for member in sorted(Path(folder).glob("[!_]*.py"))))
    direct = {path for path in imported if not _is_member(path, folders)}
    return sorted({script, *direct, *named})


@cache
def closure(script: Path, *, follow_lists: bool = False) -> frozenset[str]:
    """The files of pipestill that a script imports, directly or not.

    Args:
        script: the script of a stage.
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
def _registration_files() -> frozenset[Path]:
    return frozenset(SRC / package.replace(".", "/") / "__init__.py" for package in REGISTRATIONS)


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


def _file_of(module: str) -> set[Path]:
    path = SRC / module.replace(".", "/")
    return {file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}


def _files_of(pattern: str) -> list[str]:
    """The members that a pattern stands for; a template of DVC stands for itself."""
    folder, name = pattern.rsplit("/", 1)
    return [path.as_posix() for path in Path(folder).glob(f"[!_]{name}")] if "*" in name else [pattern]


def _is_member(path: str, folders: set[str]) -> bool:
    """Whether a file is a member of a registration package, which params name, rather than its base."""
    return str(Path(path).parent) in folders and Path(path).name != "_base.py"


def _artifacts(stage: str, students: list[str]) -> list[str]:
    models = ["teacher", *students]
    return [pattern.format(model=model) for pattern in ARTIFACTS.get(stage, ()) for model in models]


def _is_computed(stage: str, dep: str) -> bool:
    if dep.startswith(("src/", "stages/")):
        return True
    heads = [pattern.split("{")[0] for pattern in ARTIFACTS.get(stage, ())]
    return any(dep.startswith(head) for head in heads) and "baseline" not in dep


def _yaml() -> Any:  # noqa: ANN401 (ruamel.yaml has no types for what it loads)
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=2, offset=0)
    return yaml


if __name__ == "__main__":
    sys.exit(main())
