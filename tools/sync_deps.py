"""Write into dvc.yaml the dependencies that can be computed: each stage's code, and the artifacts of each student.

Code: the script of a stage and every module of pipestill that it imports, directly or not. The members of a
registration package (losses, students) count only for `check`, which says in data/code which of them each student is
made of: adding one reruns no student. Tracking never counts.

Artifacts: `check` writes two files for each student, and the stages that read every student's results list them one by
one. A folder as a dependency would do with plain `dvc repro`, but with `--pull --allow-missing` DVC would run the stage
on the few folders that happen to be there.

Usage: `python tools/sync_deps.py` writes, `--check` only says what is out of date and exits with 1.
"""

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipestill.closure import closure

PIPELINE = Path("dvc.yaml")
PARAMS = Path("params.yaml")

FOLLOWS_LISTS = ("check",)
"""Stages that read every member of a registration package."""

READ = {
    "benchmark": ("models/onnx/{model}",),
    "report": ("metrics/evaluate/{model}.json", "metrics/training/{model}.json"),
    "package": ("metrics/evaluate/{model}.json", "metrics/export/{model}.json", "models/onnx/{model}"),
}
"""What the stages at the end read of the teacher and of every student."""

OF_STUDENTS_ONLY = ("package",)
"""Of these, the stages that read nothing of the teacher, which is never the champion."""

WRITTEN = {"check": ("data/code/{model}-training.json", "data/code/{model}-loading.json")}
"""What a stage writes for every student."""


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
        read, written = READ.get(name, ()), WRITTEN.get(name, ())
        code = code_deps(name, str(stage["cmd"]).split()[1])
        models = students if name in OF_STUDENTS_ONLY else ["teacher", *students]
        _replace(stage, "deps", [*_each(read, models), *code], ("src/", "stages/", *_heads(read)))
        if written:
            _replace(stage, "outs", _each(written, students), _heads(written))
    buffer = io.StringIO()
    _yaml().dump(content, buffer)
    return buffer.getvalue()


def code_deps(stage: str, script: str) -> list[str]:
    """The script of a stage and the files it imports, sorted."""
    return sorted({script, *closure(Path(script), follow_lists=stage in FOLLOWS_LISTS)})


def _replace(stage: CommentedMap, key: str, wanted: list[str], computed: tuple[str, ...]) -> None:
    """Replace the entries of a list that begin with one of some prefixes; the others, and comments, stay."""
    old = stage.get(key) or CommentedSeq()
    kept = [entry for entry in old if not entry.startswith(computed) or entry.endswith("/baseline.json")]
    if [*kept, *wanted] != list(old):
        for index in reversed([index for index, entry in enumerate(old) if entry not in kept]):
            del old[index]
        old.extend(wanted)
        stage[key] = old


def _each(patterns: tuple[str, ...], models: list[str]) -> list[str]:
    return [pattern.format(model=model) for pattern in patterns for model in models]


def _heads(patterns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pattern.split("{")[0] for pattern in patterns)


def _yaml() -> Any:  # noqa: ANN401 (ruamel.yaml has no types for what it loads)
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=2, offset=0)
    return yaml


if __name__ == "__main__":
    sys.exit(main())
