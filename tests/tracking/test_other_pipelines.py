"""A pipeline beside the main one: DVC addresses its stages by a path, tracking knows them by name."""

from pathlib import Path

import pytest
from outcomes import write_outcome
from repositories import Repository

from pipestill.records import read_record
from pipestill.tracking.identity import name_in
from pipestill.tracking.lock import MAIN, pipelines_with_lock
from pipestill.tracking.run_record import RunRecord, record_path
from pipestill.tracking.sync import run_sync, sync

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


LOCK_FROM_ELSEWHERE = """
schema: '2.0'
stages:
  other_first:
    cmd: python stage.py
    outs:
    - {path: data/other/first.txt, hash: md5, md5: 0123456789abcdef0123456789abcdef}
    - {path: runs/other_first.json, hash: md5, md5: fedcba9876543210fedcba9876543210}
    - {path: reports/other/table.md, hash: md5, md5: fedcba9876543210fedcba9876543219}
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


def test_a_pipeline_that_ran_elsewhere_is_one_short_sentence_and_no_remote_is_no_error(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    write_outcome(repository.root)
    folder = repository.root / "pipelines/other"
    folder.mkdir(parents=True)
    (folder / "dvc.lock").write_text(LOCK_FROM_ELSEWHERE)
    lines: list[str] = []
    report = run_sync(repository.root, lines.append)
    assert report.elsewhere == ["other"]
    assert "other_first" not in report.without_record
    assert lines[-1] == "not run here: the pipeline(s) other"
    said = capsys.readouterr()
    assert "remote" not in f"{said.out}{said.err}{lines}"
    assert [run.data.tags["pipeline"] for run in repository.runs("tags.`dvc.pipeline` != ''")] == ["main"]
    assert sync(repository.root).pipeline_changed is False


@pytest.mark.pipeline
def test_started_in_its_own_folder_the_stage_asks_for_the_same(two: Repository) -> None:
    """DVC then calls it `other_first`, a stage that the root's dvc.yaml does not have."""
    two.run("dvc", "repro", "pipelines/other/dvc.yaml")
    first = read_record(two.root / record_path("other_first"), RunRecord)
    two.run("dvc", "--cd", "pipelines/other", "repro", "--force", "--single-item", "other_first")
    second = read_record(two.root / record_path("other_first"), RunRecord)
    assert first.execution_id != second.execution_id
    assert (first.key, first.deps) == (second.key, second.deps)
