"""A pipeline beside the main one: DVC addresses its stages by a path, tracking knows them by name."""

from pathlib import Path

import pytest
from repositories import Repository

from pipestill.records import read_record
from pipestill.tracking.identity import name_in
from pipestill.tracking.lock import MAIN, pipelines_with_lock
from pipestill.tracking.run_record import RunRecord, record_path
from pipestill.tracking.sync import sync

OTHER = """
stages:
  other_first:
    wdir: ../..
    cmd: python stage.py data/other/first.txt data/first.txt
    deps: [stage.py, data/first.txt]
    params:
    - pipelines/other/params.yaml: [lr]
    outs: [data/other/first.txt, runs/other_first.json]
"""


@pytest.fixture
def two(repository: Repository) -> Repository:
    folder = repository.root / "pipelines/other"
    folder.mkdir(parents=True)
    (folder / "dvc.yaml").write_text(OTHER)
    (folder / "params.yaml").write_text("lr: 3\n")
    repository.commit()
    return repository


@pytest.mark.parametrize("address", ["table@a", "pipelines/other/dvc.yaml:table@a", "../other/dvc.yaml:table@a"])
def test_a_stage_s_name_is_the_same_wherever_dvc_was_started(address: str) -> None:
    assert name_in(address) == "table@a"


@pytest.mark.pipeline
def test_another_pipeline_s_runs_stand_under_a_pipeline_run_of_their_own(two: Repository) -> None:
    two.run("dvc", "repro", "pipelines/other/dvc.yaml")  # runs what it reads of the main pipeline first
    two.commit()
    assert pipelines_with_lock(two.root) == [MAIN, Path("pipelines/other")]
    live = read_record(two.root / record_path("other_first"), RunRecord)
    assert (live.stage, live.params["lr"]) == ("other_first", "5e-05")
    assert live.dvc_params == {"pipelines/other/params.yaml": {"lr": 3}}
    report = sync(two.root)
    assert (report.linked, report.replayed) == (["first", "other_first"], [])
    parents = {run.data.tags["pipeline"]: run for run in two.runs("tags.`dvc.pipeline` != ''")}
    assert {*parents} == {"main", "other"}
    commit = two.run("git", "rev-parse", "HEAD").stdout.strip()
    assert parents["other"].info.run_name == f"pipeline other {commit[:8]}"
    for pipeline, stage in (("main", "first"), ("other", "other_first")):
        (run,) = two.runs(f"tags.`dvc.stage` = '{stage}'")
        assert run.data.tags["mlflow.parentRunId"] == parents[pipeline].info.run_id
        assert run.data.tags["dvc.key"] == read_record(two.root / record_path(stage), RunRecord).key
    assert sync(two.root).pipeline_changed is False


@pytest.mark.pipeline
def test_started_in_its_own_folder_the_stage_asks_for_the_same(two: Repository) -> None:
    """DVC then calls it `other_first`, a stage that the root's dvc.yaml does not have."""
    two.run("dvc", "repro", "pipelines/other/dvc.yaml")
    first = read_record(two.root / record_path("other_first"), RunRecord)
    two.run("dvc", "--cd", "pipelines/other", "repro", "--force", "--single-item", "other_first")
    second = read_record(two.root / record_path("other_first"), RunRecord)
    assert first.execution_id != second.execution_id
    assert (first.key, first.deps) == (second.key, second.deps)
