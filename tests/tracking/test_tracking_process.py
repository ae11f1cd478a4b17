"""The process that writes the runs of all stages of a `make repro`, so that mlflow is imported once."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from repositories import Repository
from test_process import wait_for

from pipestill.records import read_record
from pipestill.tracking.run_record import RunRecord
from pipestill.tracking.server import ADDRESS, KEY, connect, tracking_process
from pipestill.tracking.store import open_store
from pipestill.tracking.sync import reap

WITHOUT_MLFLOW = (
    "import atexit, sys; atexit.register(lambda: open('mlflow', 'w').write(str('mlflow' in sys.modules)))\n"
)


def when_listening(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Wait until the process listens: a stage that comes before writes its run by itself."""
    deadline_s = time.monotonic() + 30
    while not Path(variables[ADDRESS]).exists():
        assert time.monotonic() < deadline_s, "the process does not listen"
        time.sleep(0.02)
    return variables


def run_stage(repository: Repository, variables: Mapping[str, str], how: str = "", name: str = "first") -> int:
    """Run the tiny stage to its end as DVC would, with a note of whether it imported mlflow; returns its exit code."""
    stage = repository.start(*repository.command(), **repository.stage_environment(how, name=name), **variables)
    _, error = stage.communicate(timeout=60)
    print(error)
    return int(stage.returncode)


@pytest.fixture
def noting(repository: Repository) -> Repository:
    """The repository, whose stage notes at its end whether mlflow was imported."""
    script = repository.root / "stage.py"
    script.write_text(WITHOUT_MLFLOW + script.read_text())
    return repository


@pytest.mark.parametrize(
    ("how", "code", "status"), [("", 0, "FINISHED"), ("exit3", 3, "FAILED"), ("raise", 1, "FAILED")]
)
def test_a_run_of_the_process_has_what_a_stage_would_write_and_the_stage_imports_no_mlflow(
    noting: Repository, how: str, code: int, status: str
) -> None:
    with tracking_process() as variables:
        assert run_stage(noting, when_listening(variables), how) == code
    (served,) = noting.runs()
    assert served.info.status == status
    assert (noting.root / "mlflow").read_text() == "False"
    assert run_stage(noting, {}, how) == code
    assert (noting.root / "mlflow").read_text() == "True"
    (own,) = [run for run in noting.runs() if run.info.run_id != served.info.run_id]
    assert served.data.metrics == own.data.metrics
    assert served.data.params == own.data.params
    differing = {"dvc.execution", "process.id", "process.started"}
    assert {name: value for name, value in served.data.tags.items() if name not in differing} == {
        name: value for name, value in own.data.tags.items() if name not in differing
    }
    client = noting.client()
    files = [[file.path for file in client.list_artifacts(run.info.run_id)] for run in (served, own)]
    assert files[0] == files[1]
    histories = [client.get_metric_history(run.info.run_id, "loss") for run in (served, own)]
    assert [point.value for point in histories[0]] == [point.value for point in histories[1]] == [0.5, 0.25]


def test_several_stages_share_the_process(noting: Repository) -> None:
    with tracking_process() as variables:
        when_listening(variables)
        assert [run_stage(noting, variables) for _ in range(3)] == [0, 0, 0]
    assert [run.info.status for run in noting.runs()] == ["FINISHED"] * 3
    record = read_record(noting.root / "runs/first.json", RunRecord)
    assert record.run_id in {None, *(run.info.run_id for run in noting.runs())}


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, "KILLED"), (signal.SIGKILL, "RUNNING")], ids=["SIGTERM", "SIGKILL"]
)
def test_a_killed_stage_has_the_status_that_it_would_give_itself(
    repository: Repository, number: int, status: str
) -> None:
    with tracking_process() as variables:
        when_listening(variables)
        environment = repository.stage_environment("hang")
        stage = repository.start(*repository.command(), **environment, **variables)
        wait_for(repository.root / "started")
        stage.send_signal(number)
        stage.communicate(timeout=20)
    (run,) = repository.runs()
    assert run.info.status == status
    assert run.data.tags["process.id"] == str(stage.pid), "sync looks for the stage's process"
    assert reap(open_store(repository.root)) == ([run.info.run_name] if status == "RUNNING" else [])


def test_without_a_process_at_the_address_a_stage_writes_its_run_by_itself(noting: Repository) -> None:
    assert run_stage(noting, {ADDRESS: str(noting.root / "nobody"), KEY: "00"}) == 0
    (run,) = noting.runs()
    assert run.info.status == "FINISHED"
    assert (noting.root / "mlflow").read_text() == "True"


def test_a_stage_with_another_key_is_refused_and_the_next_one_is_served(
    noting: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking_process() as variables:
        monkeypatch.setenv(ADDRESS, when_listening(variables)[ADDRESS])
        monkeypatch.setenv(KEY, "00")
        assert connect(noting.root, "stranger", 0, {}, {}) is None
        assert run_stage(noting, variables) == 0
    assert [run.info.run_name for run in noting.runs()] == ["first"]


def test_the_process_killed_in_the_middle_costs_a_stage_one_line_and_no_record(repository: Repository) -> None:
    with tracking_process() as variables:
        when_listening(variables)
        environment = repository.stage_environment("hang")
        stage = repository.start(*repository.command(), **environment, **variables)
        wait_for(repository.root / "started")
        (server,) = [
            child
            for child in psutil.Process().children()
            if child.cmdline()[1:] == ["-m", "pipestill.tracking", "serve"]
        ]
        server.kill()
        server.wait(10)
        stage.send_signal(signal.SIGTERM)
        _, error = stage.communicate(timeout=20)
    assert stage.returncode == 128 + signal.SIGTERM
    assert error.count("MLflow is out of reach") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize("with_stage", [True, False])
def test_the_process_ends_with_the_one_that_started_it_however_that_ends(
    repository: Repository, with_stage: bool
) -> None:
    script = (
        "import os, pathlib, subprocess, sys, time\n"
        "from pipestill.tracking.server import tracking_process\n"
        "with tracking_process() as variables:\n"
        "    while not pathlib.Path(variables['PIPESTILL_TRACKING_ADDRESS']).exists(): time.sleep(0.02)\n"
        "    if sys.argv[1:]: subprocess.run(sys.argv[1:], env=os.environ | variables)\n"
        "    pathlib.Path('starter').write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
    )
    stage = repository.command() if with_stage else ()
    starter = repository.start(sys.executable, "-c", script, *stage, **repository.stage_environment())
    wait_for(repository.root / "starter")
    children = psutil.Process(starter.pid).children(recursive=True)
    assert len(children) == 1
    os.kill(starter.pid, signal.SIGKILL)
    starter.communicate(timeout=10)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert [run.info.status for run in repository.runs()] == ["FINISHED"] * with_stage


def test_later_starts_no_process(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPESTILL_TRACKING", "later")
    with tracking_process() as variables:
        assert variables == {}
        assert not psutil.Process().children()


def test_a_process_that_served_nobody_never_imported_mlflow(repository: Repository) -> None:
    with tracking_process() as variables:
        when_listening(variables)
        (server,) = psutil.Process().children()
        assert not [file for file in server.memory_maps() if "sqlalchemy" in file.path]
    assert not psutil.pid_exists(server.pid)
    assert repository.runs() == []
