"""A real MLflow server that dies while a stage runs."""

import socket
import time
import urllib.request
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from repositories import STAGE_THAT_OUTLIVES_ITS_SERVER, Repository

from pipestill.records import read_record
from pipestill.tracking.run_record import RunRecord, record_path
from pipestill.tracking.sync import sync

pytestmark = pytest.mark.pipeline


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def start_server(repository: Repository, port: int) -> object:
    server = repository.start(
        *("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", "sqlite:///server.db", "--artifacts-destination", "server-artifacts"),
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        MLFLOW_DISABLE_TELEMETRY="true",
    )
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return server
    raise AssertionError("the server did not start")


def stop(server: object) -> None:
    import psutil

    process = psutil.Process(server.pid)  # type: ignore[attr-defined]
    for child in process.children(recursive=True):
        child.kill()
    process.kill()
    server.communicate(timeout=10)  # type: ignore[attr-defined]


def test_a_server_that_dies_mid_run_costs_under_five_seconds_and_sync_completes_the_run(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, port = repository.root, free_port()
    uri = f"http://127.0.0.1:{port}"
    (root / "stage.py").write_text(STAGE_THAT_OUTLIVES_ITS_SERVER)
    (root / "dvc.yaml").write_text(
        "stages:\n  first:\n    cmd: python stage.py\n    deps: [stage.py]\n    outs: [runs/first.json]\n"
    )
    server = start_server(repository, port)
    dvc = repository.start("dvc", "repro", MLFLOW_TRACKING_URI=uri)
    while not (root / "started").exists():
        assert dvc.poll() is None
        time.sleep(0.05)
    stop(server)
    Path("dead").touch()
    _, errors = dvc.communicate(timeout=60)
    assert dvc.returncode == 0, errors
    assert errors.count("out of reach") == 1
    assert float((root / "lost").read_text()) < 5
    record = read_record(record_path("first"), RunRecord)
    assert record.metrics["loss"].values == (0.5, 0.25)

    server = start_server(repository, port)
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        client = MlflowClient(uri)
        assert client.get_run(record.run_id).info.status == "RUNNING"
        assert sync(root).completed == ["first"]
        run = client.get_run(record.run_id)
        assert run.info.status == "FINISHED"
        assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [0.5, 0.25]
        paths = [artifact.path for artifact in client.list_artifacts(run.info.run_id)]
        assert paths == ["card.md", "environment.json"]
        assert sync(root).linked == ["first"]
    finally:
        stop(server)
