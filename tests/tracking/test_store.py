import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from repositories import Repository

from pipestill.tracking.database import anchor_artifacts
from pipestill.tracking.store import open_store, tracking_uri


@pytest.mark.pipeline
def test_eight_processes_that_find_no_store_all_succeed(repository: Repository) -> None:
    (repository.root / "mlflow.db").unlink()
    started = [
        subprocess.Popen(
            ["python", "stage.py", f"data/{number}.txt", "source.txt"],
            cwd=repository.root,
            env=repository.environment(DVC_STAGE="first", DVC_ROOT=str(repository.root)),
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, "out of reach" in errors) == (0, False), errors
    assert [run.info.status for run in repository.runs()] == ["FINISHED"] * 8
    assert sorted(path.name for path in repository.root.glob("mlflow.db*")) == ["mlflow.db", "mlflow.db.lock"]


def test_the_address_is_the_repository_s_own_unless_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert tracking_uri(tmp_path) == "http://server:5000"


def test_anchoring_changes_nothing_in_a_repository_that_was_not_moved(repository: Repository) -> None:
    repository.client()
    database = repository.root / "mlflow.db"
    before = database.read_bytes()
    assert anchor_artifacts(database, repository.root / "mlartifacts") == 0
    assert database.read_bytes() == before


def test_paths_outside_of_the_artifacts_folder_are_left_alone(repository: Repository) -> None:
    client = repository.client()
    client.create_experiment("elsewhere", artifact_location="s3://bucket/runs")
    client.create_experiment("team", artifact_location="s3://team/mlartifacts/runs")
    database = repository.root / "mlflow.db"
    assert anchor_artifacts(database, Path("/new/mlartifacts")) > 0
    with closing(sqlite3.connect(database)) as connection:
        locations = {row[0] for row in connection.execute("SELECT artifact_location FROM experiments")}
    here = {"/new/mlartifacts/default/0", "/new/mlartifacts/runs"}
    assert locations == here | {"s3://bucket/runs", "s3://team/mlartifacts/runs"}


def test_a_database_that_two_repositories_share_keeps_its_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'shared.db'}")
    locations = []
    for name in ("first", "second"):
        store = open_store(tmp_path / name)
        locations.append(store.client.get_experiment(store.experiment_id).artifact_location)
    assert locations == [str(tmp_path / "first/mlartifacts/runs")] * 2


def test_an_experiment_that_was_deleted_in_the_ui_is_there_again(repository: Repository) -> None:
    store = open_store(repository.root)
    store.client.delete_experiment(store.experiment_id)
    again = open_store(repository.root)
    assert again.experiment_id == store.experiment_id
    assert again.client.create_run(again.experiment_id).info.status == "RUNNING"
