"""The workflows call what is there, by commits that cannot be moved, with no more rights than they need."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def jobs_of(path: Path) -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(path.read_text())["jobs"]


def steps_of(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs_of(path).values() for step in job["steps"]]


def commands(path: Path) -> list[str]:
    """The lines of all `run:` steps of a workflow."""
    return [line for step in steps_of(path) for line in step.get("run", "").splitlines()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_only_scripts_and_targets_that_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    called = [line.split() for line in commands(path)]
    scripts = [ROOT / words[0] for words in called if words[0].startswith("ci/")]
    assert scripts != []
    assert [script for script in scripts if not script.stat().st_mode & 0o100] == []
    assert {words[1] for words in called if words[0] == "make"} <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_commands_take_values_from_their_environment(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text())
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []
    # An expression in a command is pasted into the script, whatever characters it holds.
    assert [line for line in commands(path) if "${{" in line] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_given_to_jobs_and_keys_to_steps(path: Path) -> None:
    workflow = YAML(typ="safe", pure=True).load(path.read_text())
    assert workflow["permissions"] == {}
    assert [name for name, job in workflow["jobs"].items() if not job.get("permissions")] == []
    assert [name for name, job in workflow["jobs"].items() if "secrets." in str(job.get("env"))] == []


def test_code_of_a_pull_request_can_only_read() -> None:
    jobs = jobs_of(ROOT / ".github/workflows/pull_request.yml")
    writing = {name: job for name, job in jobs.items() if job["permissions"] != {"contents": "read"}}
    assert {name: job["permissions"] for name, job in writing.items()} == {"report": {"pull-requests": "write"}}
    used = [step["uses"].partition("@")[0] for step in writing["report"]["steps"] if "uses" in step]
    assert used == ["actions/download-artifact"]  # it checks nothing out, so that it runs no code of the request
    checkouts = [step for job in jobs.values() for step in job["steps"] if "checkout@" in step.get("uses", "")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False, False]
    secrets = set(re.findall(r"secrets\.(\w+)", str(jobs)))
    assert secrets == {"DVC_READ_ACCESS_KEY_ID", "DVC_READ_SECRET_ACCESS_KEY"}


def test_a_pull_request_writes_nothing_to_the_remote_and_main_shares_no_cache_with_it() -> None:
    lines = (ROOT / "ci/pull_request").read_text().splitlines()
    assert [line for line in lines if "push" in line and not line.startswith("#")] == []
    assert [path.stem for path in WORKFLOWS if "cache" in str([step.get("uses") for step in steps_of(path)])] == []
    assert [path.stem for path in WORKFLOWS if "pull_request_target" in path.read_text()] == []
