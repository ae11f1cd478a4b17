"""The stages whose code changed since their code lists were written, before `check` runs and says so to DVC.

No params are parsed and nothing is imported but YAML, so it answers at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.code.lists import changed_since, is_code_list
from pipestill.params import read_params
from pipestill.records import read_json

ITEM = "${key}"
"""Placeholder in dvc.yaml for the item of a stage that has several."""


def stale_stages(pipeline: Path) -> dict[str, list[str]]:
    """Find the changed modules of each stage of a pipeline whose code changed, by the stage's name.

    Args:
        pipeline: a dvc.yaml, with its params.yaml beside it.

    Returns:
        Stages in the order of the file. One whose code list was not written yet is left out.
    """
    params = read_params(pipeline.with_name("params.yaml"))
    lists: dict[str, Path] = {}
    for stage, definition in read_params(pipeline)["stages"].items():
        lists |= _lists_of(stage, definition, params)
    changed = {path: changed_since(read_json(path)) for path in {*lists.values()} if path.exists()}
    return {stage: changed[path] for stage, path in lists.items() if changed.get(path)}


def _lists_of(stage: str, definition: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Path]:
    """Find a stage's code list by its name, or the lists of its items by theirs."""
    deps: list[str] = definition.get("do", definition).get("deps") or []
    items: list[str | None] = [None]
    if "foreach" in definition:
        section = str(definition["foreach"]).removeprefix("${").removesuffix("}")
        items = list(params.get(section) or {})
    return {
        stage if item is None else f"{stage}@{item}": Path(dep.replace(ITEM, item or ""))
        for dep in filter(is_code_list, deps)
        for item in items
    }
