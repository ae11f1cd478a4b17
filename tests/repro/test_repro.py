"""`python -m pipestill.repro` over a program that prints what `dvc repro` prints."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from pipestill.records import write_json
from pipestill.reporting.summary import Summary, summarise
from pipestill.repro import __main__ as program
from pipestill.repro.closing import next_lines, place_lines, show_outcome
from reporting.invented_records import ENVIRONMENT, REPORT, make_evaluations, make_speeds

ROOT = Path(__file__).parents[2]
FAKE_DVC = """
import os, pathlib, subprocess, sys
from pipestill.tracking.remote import VARIABLE
print("Stage 'check' didn't change, skipping")
print("Running stage 'fetch':")
print("> python stages/fetch.py")
how = sys.argv[1]
if how == "hang":
    stage = "import pathlib, os, time; pathlib.Path('stage').write_text(str(os.getpid())); time.sleep(60)"
    sys.exit(subprocess.run([sys.executable, "-c", stage]).returncode)
print("fetched", os.environ["PYTHONUNBUFFERED"], os.environ["TORCH_CPP_LOG_LEVEL"], VARIABLE in os.environ)
if how == "fail":
    print("ERROR: failed to reproduce 'fetch'", file=sys.stderr)
    sys.exit(255)
print("Updating lock file 'dvc.lock'")
print("Use `dvc push` to send your updates to remote storage.")
"""
MAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and so their children, ignore it
from pipestill.repro.__main__ import main
sys.exit(main([sys.executable, "fake_dvc.py", sys.argv[1]], [sys.executable, "-c", "print('synced')"]))
"""
DVC_YAML = """
stages:
  check: {cmd: echo}
  fetch: {cmd: echo}
  each: {cmd: echo, matrix: {name: [a, b]}}
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    evaluations = make_evaluations(tmp_path_factory.mktemp("invented"))
    return summarise(evaluations, make_speeds(), ENVIRONMENT, REPORT)


@pytest.fixture
def repository(tmp_path: Path, outcome: Summary) -> Path:
    (tmp_path / "fake_dvc.py").write_text(FAKE_DVC)
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    write_json(tmp_path / "reports/summary.json", outcome)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def start(repository: Path, how: str, tracking: str = "later") -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PIPESTILL_TRACKING": tracking}
    command = [sys.executable, "-c", MAIN, how]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=repository, env=environment, stdout=pipe, stderr=pipe, text=True)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_a_run_ends_with_the_table_the_champion_and_the_next_steps(repository: Path) -> None:
    out, err = start(repository, "work").communicate(timeout=60)
    assert err == ""
    lines = out.splitlines()
    assert lines[:3] == ["[1/4] 1 stage unchanged", "[2/4] fetch ...", "fetched 1 ERROR False"]
    assert lines[3].startswith("[2/4] fetch done in ")
    assert lines[4].startswith("2 stages in ")
    assert lines[5] == "synced"
    assert "Champion: bert_l3/onnx_int8, in models/champion." in lines
    assert max(map(len, lines)) <= 80
    commands = [line.split("  ")[1] for line in lines[lines.index("Next:") + 1 :]]
    assert [command.split()[-1] for command in commands] == ["models/champion", "ui", "table"]
    assert "dvc push" not in out


def test_a_tracking_process_serves_the_stages_and_syncs(repository: Path) -> None:
    (repository / "dvc.lock").write_text("stages: {}\n")
    child = start(repository, "work", "live")
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "tracking: 0 stages' runs are in MLflow; pipeline run written\n")
    assert "fetched 1 ERROR True" in out
    assert "synced" not in out
    assert "Next:" in out


def test_a_failure_passes_its_exit_code_on_and_shows_no_table(repository: Path) -> None:
    child = start(repository, "fail")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 255
    assert "failed to reproduce" in err
    assert out.splitlines()[-1].startswith("[2/4] fetch did not finish")
    assert "bert_l3" not in out
    assert "synced" not in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_dvc_and_its_stage(repository: Path, number: signal.Signals, code: int) -> None:
    child = start(repository, "hang")
    assert wait_for(lambda: (repository / "stage").exists() and (repository / "stage").read_text() != "")
    family = psutil.Process(child.pid).children(recursive=True)
    assert int((repository / "stage").read_text()) in [process.pid for process in family]
    if number == signal.SIGINT:  # the terminal sends Ctrl-C to all
        for process in family:
            process.send_signal(number)
    child.send_signal(number)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == code
    assert not [process for process in family if process.is_running()]
    assert "synced" not in out


def test_a_missing_report_ends_in_a_message(repository: Path) -> None:
    (repository / "reports/summary.json").unlink()
    child = start(repository, "work")
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "reports/summary.json cannot be read" in err


def test_a_champion_of_32_bits_is_run_by_naming_its_file(outcome: Summary) -> None:
    row = next(row for row in outcome.rows if row.subject == "bert_l3/onnx_fp32")
    selection = outcome.selection.model_copy(update={"champion": row.subject, "packaged": row.subject})
    chosen = outcome.model_copy(update={"selection": selection})
    lines = next_lines(chosen, Path("/repository"), Path("/repository/.venv/bin/python"))
    assert "| .venv/bin/pipestill predict models/champion --file onnx/model.onnx " in lines[1]
    assert "| pipestill predict models/champion" in next_lines(outcome, Path("/repository"), Path("/usr/bin/python"))[1]


def test_the_nearest_candidate_is_named_with_what_it_misses(
    outcome: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The commands shown name the environment relative to the repository, wherever the tests' own environment lies.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    update = {"champion": None, "missed": ("min_size_ratio",)}
    nearest = outcome.model_copy(update={"selection": outcome.selection.model_copy(update=update)})
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        show_outcome(nearest, console)
    assert "The nearest, bert_l3/onnx_int8, is in models/champion" in capture.get()
    assert "It misses `min_size_ratio: 5`" in capture.get()
    assert max(map(len, capture.get().splitlines())) <= 80


def test_advice_is_the_first_line_and_what_the_figures_lack_is_said(outcome: Summary) -> None:
    advice = "The linear baseline beats the teacher: raise `finetune_teacher.training.epochs` (used: 2) in params.yaml."
    remark = 'The figure "confusion" is left out: ValueError: [bold]'
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        show_outcome(outcome.model_copy(update={"advice": (advice,), "remarks": (remark,)}), console)
    lines = capture.get().splitlines()
    assert " ".join(line.strip() for line in lines[:2]) == advice
    assert remark in lines
    assert lines.index(remark) > 2


def test_without_a_candidate_there_is_nothing_to_run(outcome: Summary) -> None:
    update = {"champion": None, "packaged": None, "verdicts": ()}
    nobody = outcome.model_copy(update={"selection": outcome.selection.model_copy(update=update)})
    assert place_lines(nobody) == ["No champion: the pipeline has no candidate, and models/champion holds no model."]
    assert "predict" not in "".join(next_lines(nobody, Path("/"), Path(sys.executable)))


def test_a_dvc_yaml_that_dvc_refuses_leaves_the_total_open(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert program.stage_names() == ("check", "fetch", "each@a", "each@b")
    (repository / "dvc.yaml").write_text("stages: {check: {}}\n")
    assert program.stage_names() == ()
