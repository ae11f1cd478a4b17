"""A real MLflow server: runs and models in PostgreSQL, artifacts on S3, and the model served over HTTP."""

import json
import os
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest
from mlflow.tracking import MlflowClient

from pipestill.predict import Classifier
from pipestill.records import read_record
from pipestill.tracking.run_record import RunRecord, record_path
from services.databases import postgresql
from services.servers import S3, answers, free_port, running, stop
from tracking.outcomes import write_outcome
from tracking.repositories import DVC_YAML, STAGE, STAGE_THAT_OUTLIVES_ITS_SERVER, Repository

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.timeout(900),  # a server takes half a minute to start, and several on two busy cores many of them
]
START_S = 300


@dataclass(frozen=True)
class Backend:
    """What a server keeps its runs and artifacts in; more than one may run on it, one after the other."""

    database: str
    s3: S3
    bucket: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def server(self) -> AbstractContextManager[Popen[bytes]]:
        """Start an MLflow server for the length of a block."""
        command = (
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--backend-store-uri", self.database),
            *("--artifacts-destination", f"s3://{self.bucket}/artifacts"),
        )
        settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        environment = dict(os.environ) | self.s3.environment | settings
        return running(
            command, self.log, lambda: answers(f"{self.url}/health"), environment=environment, seconds=START_S
        )


@pytest.fixture(scope="module")
def backend(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    bucket = f"mlflow-{uuid.uuid4().hex[:8]}"
    s3.client().create_bucket(Bucket=bucket)
    log = tmp_path_factory.mktemp("mlflow") / "log"
    with postgresql() as database:
        yield Backend(database, s3, bucket, free_port(), log)


@pytest.fixture(scope="module")
def server(backend: Backend) -> Iterator[Popen[bytes]]:
    with backend.server() as process:
        yield process


@pytest.fixture
def client(backend: Backend, server: Popen[bytes]) -> MlflowClient:
    return MlflowClient(backend.url, backend.url)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.run("git", "init", "-q")
    repository.run("dvc", "init", "-q")
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("first:\n  lr: 5e-5\nsecond:\n  lr: 0.10\n")
    (tmp_path / "source.txt").write_text("a source")
    (tmp_path / ".gitignore").write_text("/data\n/runs\n.scratch/\nmlflow.db*\nmlartifacts/\n")
    repository.commit()
    return repository


def runs(client: MlflowClient, experiment: str) -> list[Any]:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"]))


def test_eight_processes_on_a_server_without_an_experiment_all_succeed(
    repository: Repository, backend: Backend, client: MlflowClient
) -> None:
    where = {"MLFLOW_TRACKING_URI": backend.url, "MLFLOW_EXPERIMENT_NAME": "eight"}
    started = [
        repository.start(
            *("python", "stage.py", f"data/{number}.txt", "source.txt"), **repository.stage_environment(), **where
        )
        for number in range(8)
    ]
    answered: list[bool] = []
    for process in started:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        # A machine that is busy enough makes the server slow, and a stage waits for nobody; no other reason counts.
        slow = errors.count("no answer within") + errors.count("timed out")
        assert errors.count("out of reach") == slow, errors
        answered.append(not slow)
    found = runs(client, "eight")
    assert [run.info.status for run in found].count("FINISHED") >= sum(answered)
    assert len(found) <= 8


def test_a_pipeline_logs_to_the_server_and_its_artifacts_to_s3(
    repository: Repository, backend: Backend, client: MlflowClient
) -> None:
    where = {"MLFLOW_TRACKING_URI": backend.url, "MLFLOW_EXPERIMENT_NAME": "pipeline"}
    repository.run("dvc", "repro", **where)
    assert "pipeline run written" in repository.run("python", "-m", "pipestill.tracking", "sync", **where).stderr
    assert "pipeline run unchanged" in repository.run("python", "-m", "pipestill.tracking", "sync", **where).stderr
    found = {run.info.run_name: run for run in runs(client, "pipeline")}
    assert {"first", "second@bert_l3"} < set(found)
    stage = found["second@bert_l3"]
    assert [point.value for point in client.get_metric_history(stage.info.run_id, "loss")] == [0.5, 0.25]
    assert stage.data.tags["dvc.dep/data/first.txt"] == found["first"].data.tags["dvc.out/data/first.txt"]
    keys = backend.s3.sizes(backend.bucket)
    assert [key for key in keys if key.endswith(f"{stage.info.run_id}/artifacts/card.md")]
    assert not (repository.root / "mlflow.db").exists()


def test_the_champion_is_registered_on_the_server_and_answers_over_http(
    repository: Repository, backend: Backend, client: MlflowClient, tmp_path: Path
) -> None:
    write_outcome(repository.root)
    where = {"MLFLOW_TRACKING_URI": backend.url, "MLFLOW_EXPERIMENT_NAME": "registry"}
    for _ in range(2):
        repository.run("python", "-m", "pipestill.registry", **where)
    (version,) = client.search_model_versions("name = 'pipestill-words-2'")
    assert str(client.get_registered_model(version.name).aliases["champion"]) == version.version
    folder = repository.root / "models/onnx/small"
    name = "artifacts/classifier/onnx/model_quantized.onnx"
    (key,) = [key for key in backend.s3.sizes(backend.bucket) if key.endswith(name)]
    stored = backend.s3.client().get_object(Bucket=backend.bucket, Key=key)["Body"].read()
    assert stored == (folder / "onnx/model_quantized.onnx").read_bytes()

    port = free_port()
    command = (
        *(sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
        *("-m", f"models:/{version.name}@champion", "--host", "127.0.0.1", "--port", str(port)),
    )
    environment = repository.environment(**where)
    environment.pop("PYTHONPATH", None)  # the model brings its own code
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "log"
    with running(command, log, lambda: answers(f"{url}/ping"), environment=environment, cwd=tmp_path, seconds=START_S):
        texts = ["good", "fine", "fine bad", "bad " * 40]
        assert ask(url, texts) == [row._asdict() for row in Classifier(folder).predict(texts)]
        assert ask(url, texts[:1]) == ask(url, texts)[:1]
        assert ask(url, []) == []


def ask(url: str, texts: list[str]) -> Any:
    body = json.dumps({"inputs": texts}).encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())["predictions"]


def test_the_server_needs_less_than_a_gigabyte(server: Popen[bytes]) -> None:
    main = psutil.Process(server.pid)
    processes = [main, *main.children(recursive=True)]
    assert sum(process.memory_full_info().pss for process in processes) < 1 << 30


def test_a_server_killed_mid_run_costs_under_five_seconds_and_sync_completes_the_run(
    repository: Repository, backend: Backend
) -> None:
    other = Backend(backend.database, backend.s3, backend.bucket, free_port(), backend.log)
    where = {"MLFLOW_TRACKING_URI": other.url, "MLFLOW_EXPERIMENT_NAME": "death"}
    root = repository.root
    (root / "stage.py").write_text(STAGE_THAT_OUTLIVES_ITS_SERVER)
    (root / "dvc.yaml").write_text(
        "stages:\n  first:\n    cmd: python stage.py\n    deps: [stage.py]\n    outs: [runs/first.json]\n"
    )
    with other.server() as process:
        dvc = repository.start("dvc", "repro", **where)
        while not (root / "started").exists():
            assert dvc.poll() is None
            time.sleep(0.05)
        stop(process)
        (root / "dead").touch()
        _, errors = dvc.communicate(timeout=300)
    assert dvc.returncode == 0, errors
    assert errors.count("out of reach") == 1
    assert float((root / "lost").read_text()) < 5
    record = read_record(root / record_path("first"), RunRecord)
    with other.server():
        client = MlflowClient(other.url)
        assert [run.info.status for run in runs(client, "death")] == ["RUNNING"]
        assert "1 completed: first" in repository.run("python", "-m", "pipestill.tracking", "sync", **where).stderr
        run = client.get_run(record.run_id)
        assert run.info.status == "FINISHED"
        assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [0.5, 0.25]
        assert "card.md" in [artifact.path for artifact in client.list_artifacts(run.info.run_id)]
    closed = repository.run("dvc", "repro", "-f", check=False, **where)
    assert (closed.returncode, closed.stderr.count("out of reach")) == (0, 1)
