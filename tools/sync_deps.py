"""Write into each dvc.yaml what is listed name by name: artifacts, settings and code lists of students and cells.

The stages that read every student's results list them one by one, and `check` the files that it writes for each.
A folder as a dependency would do with plain `dvc repro`, but with `--pull --allow-missing` DVC would run the stage on
the few folders that happen to be there. All else in a dvc.yaml is written by hand.

A stage that is gone from dvc.yaml, as that of a deleted student, goes from dvc.lock too: DVC leaves it there, and
whatever reads the lock would go on showing it.

Usage: `python tools/sync_deps.py` writes, `--check` only says what is out of date and exits with 1.
"""

import argparse
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipestill.ablation.grid import timed_cells

PIPELINE = Path("dvc.yaml")
OTHERS = Path("pipelines")
"""Folder of the other pipelines: each has a folder in it with a dvc.yaml of its own."""
PARAMS = Path("params.yaml")
ABLATION = OTHERS / "ablation" / PARAMS
"""The params of the ablation, whose cells are listed as the students are."""

Patterns = tuple[tuple[str, str], ...]
"""Groups of names, and a path with a place for the name."""


class Place(NamedTuple):
    """A cell's place in the ablation's grid."""

    student: str
    recipe: str


READ = {
    "benchmark": (("models", "models/onnx/{name}"),),
    "package": (
        ("students", "metrics/evaluate/{name}.json"),
        ("students", "metrics/export/{name}.json"),
        ("students", "models/onnx/{name}"),
    ),
    "report": (
        ("models", "metrics/evaluate/{name}.json"),
        ("models", "metrics/predictions/{name}.parquet"),
        ("models", "metrics/training/{name}.json"),
    ),
    "ensemble": (("more_teachers", "data/more_logits/{name}"),),
    "ablation_latency": (("timed_cells", "models/ablation/{name}"),),
    "ablation_table": (
        ("cells", "metrics/ablation/cells/{name}.json"),
        ("cells", "metrics/ablation/times/{name}.json"),
        ("cells", "metrics/ablation/logits/{name}.parquet"),
    ),
}
"""Paths that a stage reads of each name in a group; `models` are the teacher and the students."""

OF_THE_BASELINE = ("metrics/evaluate/baseline.json", "metrics/predictions/baseline.parquet")
"""Paths that stages read of the linear baseline, which is in no group: listed by hand."""

WRITTEN = {
    "check": (
        ("students", "data/students/{name}.json"),
        ("students", "data/code/distill-{name}.json"),
        ("students", "data/code/export-{name}.json"),
        ("students", "data/code/evaluate-{name}.json"),
    ),
    "ablation_check": (
        ("grid_students", "data/ablation/students/{name}.json"),
        ("cells", "data/ablation/code/ablation_cell-{name}.json"),
    ),
}
"""Paths that a stage writes for each name in a group."""


def main() -> int:
    """Write or check every dvc.yaml; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if one is out of date")
    check = parser.parse_args().check
    params = _yaml().load(PARAMS)
    grid = _yaml().load(ABLATION)
    code = 0
    for path in pipelines():
        before = path.read_text(encoding="utf-8")
        after = synced(before, list(params["students"]), list(params["more_teachers"]), grid)
        if before != after and check:
            print(f"{path} is out of date: run `make deps`", file=sys.stderr)
            code = 1
        elif before != after:
            path.write_text(after, encoding="utf-8")
        gone = gone_stages(path)
        if gone and check:
            print(f"{path.with_suffix('.lock')} names {', '.join(gone)}, now gone: run `make deps`", file=sys.stderr)
            code = 1
        elif gone:
            forget(path, gone)
    return code


def gone_stages(pipeline: Path) -> list[str]:
    """List the stages that a pipeline's dvc.lock names and its dvc.yaml does not."""
    from dvc.repo import Repo

    lock = pipeline.with_suffix(".lock")
    if not lock.exists():
        return []
    with Repo() as repo:
        present = {stage.name for stage in repo.stage.load_all(str(pipeline))}
    return [name for name in _yaml().load(lock)["stages"] if name not in present]


def forget(pipeline: Path, stages: list[str]) -> None:
    """Take stages out of a pipeline's dvc.lock."""
    from dvc.utils.serialize import modify_yaml

    with modify_yaml(str(pipeline.with_suffix(".lock"))) as lock:
        for stage in stages:
            del lock["stages"][stage]


def pipelines() -> list[Path]:
    """List the dvc.yaml of every pipeline, the main one first."""
    return [PIPELINE, *sorted(OTHERS.glob(f"*/{PIPELINE}"))]


def synced(pipeline: str, students: list[str], more_teachers: list[str], grid: Mapping[str, Any] | None = None) -> str:
    """Bring the parts of a dvc.yaml up to date that are listed name by name.

    Args:
        pipeline: text of the dvc.yaml.
        students: names of the main pipeline's students.
        more_teachers: names of the further teachers.
        grid: the ablation's params; only its own dvc.yaml needs them.
    """
    content = _yaml().load(pipeline)
    groups = {"models": ["teacher", *students], "students": students, "more_teachers": more_teachers}
    if grid:
        groups |= {
            "grid_students": list(grid["students"]),
            "cells": list(grid["cells"]),
            "timed_cells": first_cells(grid),
        }
    for name, definition in content["stages"].items():
        stage: CommentedMap = definition.get("do", definition)
        for key, table in (("deps", READ), ("outs", WRITTEN)):
            if name in table:
                _replace(stage, key, _each(table[name], groups), _heads(table[name]))
    buffer = io.StringIO()
    _yaml().dump(content, buffer)
    return buffer.getvalue()


def first_cells(grid: Mapping[str, Any]) -> list[str]:
    """Of each student of the ablation the cell whose int8 file is timed."""
    cells = {name: Place(cell["student"], cell["recipe"]) for name, cell in grid["cells"].items()}
    return list(timed_cells(cells, list(grid["students"]), list(grid["recipes"])).values())


def _replace(stage: CommentedMap, key: str, wanted: list[str], computed: tuple[str, ...]) -> None:
    """Replace the entries of a list that begin with one of some prefixes; the others, and comments, stay.

    ruamel.yaml keeps the blank line before the next stage as a comment on the last entry: it goes to the new last one.
    """
    old = stage.get(key) or CommentedSeq()
    kept = [entry for entry in old if not entry.startswith(computed) or entry in OF_THE_BASELINE]
    if [*kept, *wanted] != list(old):
        blank = _blank_line_after(old)
        for index in reversed([index for index, entry in enumerate(old) if entry not in kept]):
            del old[index]
        old.extend(wanted)
        stage[key] = old
        if blank:
            old.ca.items[len(old) - 1] = blank


def _blank_line_after(entries: CommentedSeq) -> Any:  # noqa: ANN401 (ruamel.yaml's own)
    """Take the blank line after a list off its last entry; None if there is none, or a comment stands there."""
    last = entries.ca.items.get(len(entries) - 1)
    if last and last[0] is not None and not last[0].value.strip():
        return entries.ca.items.pop(len(entries) - 1)
    return None


def _each(patterns: Patterns, groups: dict[str, list[str]]) -> list[str]:
    return [pattern.format(name=name) for group, pattern in patterns for name in groups[group]]


def _heads(patterns: Patterns) -> tuple[str, ...]:
    return tuple(pattern.split("{")[0] for _, pattern in patterns)


def _yaml() -> Any:  # noqa: ANN401 (ruamel.yaml has no types for what it loads)
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=2, offset=0)
    return yaml


if __name__ == "__main__":
    sys.exit(main())
