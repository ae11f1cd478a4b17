import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from repositories import Repository

from pipestill.errors import DataError
from pipestill.tracking import process, run_main


def wait_for(path: Path, seconds: float = 30) -> int:
    """Wait until the stage says that it has started; returns its process id."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


def wait_for_end(pid: int, seconds: float) -> bool:
    try:
        psutil.Process(pid).wait(timeout=seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


@pytest.mark.parametrize(
    ("number", "code", "status"),
    [
        (signal.SIGTERM, 143, "KILLED"),
        pytest.param(signal.SIGINT, 130, "KILLED", marks=pytest.mark.pipeline),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, "RUNNING", marks=pytest.mark.pipeline),
    ],
)
def test_a_signal_ends_the_run_with_the_truth(repository: Repository, number: int, code: int, status: str) -> None:
    stage = repository.start(*repository.command(), **repository.stage_environment("hang"))
    wait_for(repository.root / "started")
    stage.send_signal(number)
    stage.communicate(timeout=10)
    assert stage.returncode == code
    (run,) = repository.runs()
    assert run.info.status == status
    assert not (repository.root / "runs/first.json").exists()
    scratch = list((repository.root / ".scratch").glob("first-*/step"))
    assert len(scratch) == 1


@pytest.mark.pipeline
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("command", ["python stage.py {}", "true && python stage.py {}; true"], ids=["exec", "shell"])
def test_when_dvc_dies_its_stage_dies_within_seconds(repository: Repository, number: int, command: str) -> None:
    path = repository.root / "dvc.yaml"
    line = command.format("data/first.txt source.txt")
    path.write_text(path.read_text().replace("python stage.py data/first.txt source.txt", line))
    dvc = repository.start("dvc", "repro", "first", HOW="hang", SHELL="/bin/bash")
    pid = wait_for(repository.root / "started")
    assert (psutil.Process(pid).ppid() == dvc.pid) == (command == "python stage.py {}")
    dvc.send_signal(number)
    dvc.communicate(timeout=20)
    assert wait_for_end(pid, 10)
    (run,) = repository.runs()
    assert run.info.status == "KILLED"


def test_a_process_that_ignores_sigterm_is_ended_with_its_children(repository: Repository) -> None:
    code = """
import os, signal, subprocess, sys, time
from pipestill.tracking import process
process.GRACE_S = 0.3
child = subprocess.Popen(["sleep", "60"])
process.watch_parent()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("child", "w").write(str(child.pid))
open("started", "w").write(str(os.getpid()))
time.sleep(60)
"""
    starter = f"""
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {code!r}], env=dict(os.environ, DVC_STAGE="first"))
time.sleep(60)
"""
    dvc = repository.start(sys.executable, "-c", starter)
    pid = wait_for(repository.root / "started")
    dvc.kill()
    dvc.communicate(timeout=5)
    assert wait_for_end(pid, 5)
    assert wait_for_end(int((repository.root / "child").read_text()), 5)


class FakeProcess:
    def __init__(self, pid: int, name: str, command: list[str]) -> None:
        self.pid = pid
        self._name = name
        self._command = command

    def name(self) -> str:
        return self._name

    def cmdline(self) -> list[str]:
        return self._command


@pytest.mark.parametrize(
    ("pid", "name", "command", "expected"),
    [
        (1, "tini", ["tini", "--", "bash"], True),
        (900, "systemd", ["systemd", "--user"], True),
        (1, "dvc", ["python3.11", "dvc", "repro"], False),
        (1, "python3.11", ["python3.11", "-c", "..."], False),
        (77, "bash", ["bash"], False),
    ],
)
def test_an_orphan_is_told_from_a_child_of_dvc(pid: int, name: str, command: list[str], *, expected: bool) -> None:
    assert process._is_init(FakeProcess(pid, name, command)) == expected  # type: ignore[arg-type]


def ended(main: object, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(SystemExit) as caught:
            run_main(main)  # type: ignore[arg-type]
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return caught.value.code, capsys.readouterr().err


def test_the_exit_code_tells_how_a_stage_ended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)

    def refuse() -> None:
        raise DataError("train.csv is empty", found="0 rows", next_step="add rows")

    def fail() -> None:
        raise ValueError("no good")

    def leave() -> None:
        sys.exit(3)

    def interrupt() -> None:
        raise KeyboardInterrupt

    code, text = ended(refuse, capsys)
    assert code == 1
    assert text.startswith("error: train.csv is empty\n")
    assert "Traceback" not in text
    code, text = ended(fail, capsys)
    assert code == 1
    assert "Traceback" in text
    assert ended(leave, capsys)[0] == 3
    assert ended(interrupt, capsys)[0] == 130
    assert ended(lambda: None, capsys)[0] == 0


def test_importing_tracking_imports_no_mlflow() -> None:
    code = "import sys, pipestill.tracking; print({'mlflow', 'dvc', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
