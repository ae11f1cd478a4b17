"""The workflows call what is there."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def commands(path: Path) -> list[str]:
    """The lines of all `run:` steps of a workflow."""
    jobs: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text())["jobs"]
    return [line for job in jobs.values() for step in job["steps"] for line in step.get("run", "").splitlines()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_only_scripts_and_targets_that_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    called = [line.split() for line in commands(path)]
    scripts = [ROOT / words[0] for words in called if words[0].startswith("ci/")]
    assert scripts != []
    assert [script for script in scripts if not script.stat().st_mode & 0o100] == []
    assert {words[1] for words in called if words[0] == "make"} <= targets
