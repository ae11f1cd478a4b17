"""The tracking process of `make repro`, with stages and programs that are processes too."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from repositories import Repository

from pipestill.records import read_record
from pipestill.repro import tracker as tracker_module
from pipestill.repro.tracker import Tracker, tracking_process
from pipestill.tracking.remote import VARIABLE
from pipestill.tracking.run_record import RunRecord, record_path
from pipestill.tracking.sync import sync

KEEPER = """
import os, sys, time
from pipestill.repro.tracker import tracking_process
with tracking_process() as tracker:
    open("server", "w").write(str(tracker._process.pid))
    time.sleep(60)
"""
INTERRUPTIBLE_REPRO = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a runner in the background ignores Ctrl-C
from pipestill.repro.__main__ import main
sys.exit(main())
"""


def server_of(tracker: Tracker) -> psutil.Process:
    assert tracker._process is not None
    return psutil.Process(tracker._process.pid)


def wait_for(path: Path, seconds: float = 30) -> int:
    """Wait for a file that holds a process id, and return that."""
    end_s = time.monotonic() + seconds
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end_s, f"{path} did not appear"
        time.sleep(0.05)
    return int(path.read_text())


def start_stage(repository: Repository, tracker: Tracker, how: str) -> "subprocess.Popen[str]":
    return repository.start(*repository.command(), **repository.stage_environment(how), **tracker.environment)


def test_stages_are_tracked_without_mlflow_and_the_process_syncs(
    repository: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    with tracking_process() as tracker:
        done = repository.run("dvc", "repro", **tracker.environment, PYTHONPROFILEIMPORTTIME="1")
        assert "pipestill.tracking.execution" in done.stderr
        assert "mlflow" not in done.stderr
        server = server_of(tracker)
        assert tracker.sync()
    assert not server.is_running()
    said = capfd.readouterr().err
    assert said == "tracking: 2 stages' runs are in MLflow; pipeline run written\n"
    stages = [run for run in repository.runs() if "dvc.stage" in run.data.tags]
    assert [run.info.run_name for run in stages] == ["first", "second@bert_l3"]
    for run in stages:
        record = read_record(record_path(run.info.run_name), RunRecord)
        assert (run.info.status, record.status) == ("FINISHED", "FINISHED")
        assert record.run_id in {None, run.info.run_id}  # a stage may end before mlflow is imported
        assert run.data.tags["dvc.execution"] == record.execution_id
        assert (run.info.start_time, run.info.end_time) == (record.start_time_ms, record.end_time_ms)
        assert run.data.params == record.params
        assert run.data.tags["process.id"] != str(server.pid)
        client = repository.client()
        assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [0.5, 0.25]
        assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == [
            "card.md",
            "environment.json",
        ]
        assert len(run.inputs.dataset_inputs) == len(run.outputs.model_outputs) == 1
        assert {f"dvc.out/{path}" for path in record.outs} <= set(run.data.tags)


@pytest.mark.parametrize(
    ("how", "number", "status"),
    [
        ("raise", None, "FAILED"),
        ("hang", signal.SIGTERM, "KILLED"),
        ("hang", signal.SIGINT, "KILLED"),
        ("hang", signal.SIGKILL, "RUNNING"),
    ],
)
def test_a_run_ends_with_the_truth_and_names_its_stage_s_process(
    repository: Repository, how: str, number: signal.Signals | None, status: str
) -> None:
    with tracking_process() as tracker:
        stage = start_stage(repository, tracker, how)
        if number:
            wait_for(repository.root / "started")
            if number != signal.SIGKILL:  # it comes to all processes of a terminal or a service
                server_of(tracker).send_signal(number)
            stage.send_signal(number)
        stage.communicate(timeout=20)
    (run,) = repository.runs()
    assert run.info.status == status
    assert run.data.tags["process.id"] == str(stage.pid)
    assert ("error" in run.data.tags) == (status != "RUNNING")
    assert run.data.metrics == {"loss": 0.25}
    if status == "RUNNING":
        (repository.root / "dvc.lock").write_text("stages: {}\n")
        assert sync(repository.root).reaped == ["first"]
        assert repository.runs("attributes.status = 'KILLED'")[0].info.run_id == run.info.run_id


STAGE_THAT_OUTLIVES_THE_PROCESS = """
import pathlib, time
from pipestill.tracking import run_main, stage_run

def main():
    with stage_run({"lr": 1}) as run:
        run.log_metrics({"loss": 0.5}, step=1)
        while not run.live.run_id:
            pass
        pathlib.Path("started").write_text("1")
        while not pathlib.Path("dead").exists():
            time.sleep(0.05)
        start_s = time.monotonic()
        for step in (2, 3):
            run.log_metrics({"loss": 0.25}, step=step)
            run.log_text("card.md", "# a card")
            time.sleep(0.2)
    pathlib.Path("lost").write_text(str(time.monotonic() - start_s))

run_main(main)
"""


def test_a_process_that_is_killed_costs_one_line_and_later_stages_track_themselves(repository: Repository) -> None:
    root = repository.root
    (root / "stage.py").write_text(STAGE_THAT_OUTLIVES_THE_PROCESS)
    stage = "    cmd: python stage.py\n    deps: [stage.py]\n    outs: [runs/{}.json]\n"
    (root / "dvc.yaml").write_text(
        "stages:\n  first:\n" + stage.format("first") + "  second:\n" + stage.format("second")
    )
    with tracking_process() as tracker:
        dvc = repository.start("dvc", "repro", **tracker.environment)
        wait_for(root / "started")
        server_of(tracker).kill()
        (root / "dead").touch()
        _, errors = dvc.communicate(timeout=60)
        assert dvc.returncode == 0, errors
        assert not tracker.sync()
    assert errors.count("out of reach") == 1
    assert float((root / "lost").read_text()) < 2
    record = read_record(root / record_path("first"), RunRecord)
    assert record.metrics["loss"].values == (0.5, 0.25, 0.25)
    first, second = repository.runs()
    assert (first.info.status, second.info.status) == ("RUNNING", "FINISHED")
    assert sync(root).completed == ["first"]
    assert [point.value for point in repository.client().get_metric_history(first.info.run_id, "loss")] == [
        *(0.5, 0.25, 0.25)
    ]


@pytest.mark.parametrize("command", [("false",), ("no-such-program",)])
def test_a_process_that_cannot_start_costs_the_stages_nothing(
    repository: Repository, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker_module, "START_S", 0)
    with tracking_process(command) as tracker:
        done = repository.stage(**tracker.environment)
        assert not tracker.sync()
    assert "out of reach" not in done.stderr
    assert [run.info.status for run in repository.runs()] == ["FINISHED"]


def test_runs_that_are_to_come_later_need_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPESTILL_TRACKING", "later")
    before = psutil.Process().children()
    with tracking_process() as tracker:
        assert tracker.environment == {}
        assert psutil.Process().children() == before
        assert not tracker.sync()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_process_ends_with_the_one_that_started_it_and_by_no_signal_before(
    repository: Repository, number: signal.Signals
) -> None:
    keeper = repository.start(sys.executable, "-c", KEEPER)
    server = psutil.Process(wait_for(repository.root / "server"))
    folder = Path(json.loads(server.environ()[VARIABLE])[0]).parent
    assert folder.is_dir()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        server.send_signal(ignored)
    time.sleep(0.3)
    assert server.status() != psutil.STATUS_ZOMBIE
    keeper.send_signal(number)
    keeper.communicate(timeout=30)
    assert not psutil.wait_procs([server], timeout=20)[1]
    assert not folder.exists()


def test_a_process_without_an_address_says_who_starts_it(repository: Repository) -> None:
    done = repository.run(sys.executable, "-m", "pipestill.tracking.server", check=False)
    assert (done.returncode, done.stderr) == (2, "error: the tracking process is started by `make repro` alone\n")


@pytest.mark.pipeline
def test_a_socket_that_cannot_be_made_leaves_tracking_to_the_stages(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with tracking_process() as tracker:
        repository.stage(**tracker.environment)
    assert "tracking: each stage imports mlflow itself: no socket at " in capfd.readouterr().err
    assert [run.info.status for run in repository.runs()] == ["FINISHED"]


@pytest.mark.pipeline
def test_an_experiment_in_a_temporary_workspace_opens_its_runs_itself(repository: Repository) -> None:
    with tracking_process() as tracker:
        repository.run("dvc", "repro", **tracker.environment)
        repository.commit()
        # Started by plain DVC, as always: nothing names the process.
        done = repository.run("dvc", "exp", "run", "--temp", "-S", "second.lr=0.2", PYTHONPROFILEIMPORTTIME="1")
        assert "mlflow.tracking" in done.stderr
    assert [run.info.status for run in repository.runs()] == ["FINISHED"] * 3


@pytest.mark.pipeline
def test_the_program_behind_make_repro_keeps_the_process_and_leaves_none(repository: Repository) -> None:
    done = repository.run(sys.executable, "-m", "pipestill.repro", check=False, PYTHONPROFILEIMPORTTIME="1")
    assert "2 stages in " in done.stdout
    assert "tracking: 2 stages' runs are in MLflow; pipeline run written" in done.stderr
    assert len(re.findall(r"\| +mlflow$", done.stderr, flags=re.MULTILINE)) == 1
    statuses = {run.info.run_name: run.info.status for run in repository.runs()}
    assert len(statuses) == 3
    assert set(statuses.values()) == {"FINISHED"}
    assert processes_of(repository) == []


@pytest.mark.pipeline
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_end_the_program_with_a_killed_run(
    repository: Repository, number: signal.Signals, code: int
) -> None:
    program = repository.start(sys.executable, "-c", INTERRUPTIBLE_REPRO, HOW="hang")
    wait_for(repository.root / "started")
    family = psutil.Process(program.pid).children(recursive=True)
    if number == signal.SIGINT:  # the terminal sends it to all
        for process in family:
            process.send_signal(number)
    program.send_signal(number)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == code, errors
    assert "out of reach" not in errors
    assert [run.info.status for run in repository.runs()] == ["KILLED"]
    assert processes_of(repository) == []


def processes_of(repository: Repository) -> list[psutil.Process]:
    """List the tracking processes that write to a repository's store."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(repository.root) in process.environ().get(VARIABLE, ""):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.pid != os.getpid()]


def test_runs_that_log_the_same_data_set_at_once_are_all_written(repository: Repository) -> None:
    with tracking_process() as tracker:
        stages = [start_stage(repository, tracker, "") for _ in range(4)]
        for stage in stages:
            stage.communicate(timeout=60)
    runs = repository.runs()
    assert [run.info.status for run in runs] == ["FINISHED"] * len(stages)
    assert all(run.inputs.dataset_inputs for run in runs)
