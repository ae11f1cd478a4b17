"""What a change reruns, what a kill leaves, what a fresh clone pulls: through a real `dvc repro`, on tiny data."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.tiny_pipeline import TinyPipeline

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]

KILL_GRACE_S = 15.0


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_student_s_temperature_reruns_that_student_and_the_leaves(changed: TinyPipeline) -> None:
    changed.change("students.bert_thin.objective.0.loss.temperature", 4.0)
    ran = changed.repro()
    student = ["distill@bert_thin", "export@bert_thin", "evaluate@bert_thin"]
    assert sorted(ran) == sorted(["check", *student, "benchmark", "report", "package"])


def test_the_benchmark_s_settings_rerun_the_leaves(changed: TinyPipeline) -> None:
    changed.change("benchmark.rounds", 3)
    assert sorted(changed.repro()) == ["benchmark", "check", "package", "report"]


def test_a_comment_reruns_exactly_one_stage(changed: TinyPipeline) -> None:
    with (changed.root / "stages/prepare.py").open("a") as file:
        file.write("# a comment\n")
    before = changed.lock()
    assert changed.repro() == ["prepare"]
    assert {stage for stage, entry in changed.lock().items() if entry != before[stage]} == {"prepare"}


@pytest.fixture(scope="module")
def pushed(built: TinyPipeline, tmp_path_factory: pytest.TempPathFactory) -> TinyPipeline:
    """The built pipeline with a remote that holds everything. Tests must not change it: see clone_of."""
    folder = tmp_path_factory.mktemp("pushed")
    pipeline = built.copy(folder)
    pipeline.run("dvc", "remote", "add", "--default", "shared", str(folder / "remote"))
    pipeline.commit("a remote")
    pipeline.run("dvc", "push")
    return pipeline


def clone_of(pipeline: TinyPipeline, folder: Path) -> TinyPipeline:
    """A fresh clone: no outs, no cache."""
    pipeline.run("git", "clone", "-q", str(pipeline.root), str(folder / "repository"))
    return TinyPipeline(folder / "repository")


def test_a_fresh_clone_runs_nothing_and_pulls_the_same_bytes(pushed: TinyPipeline, tmp_path: Path) -> None:
    clone = clone_of(pushed, tmp_path)
    assert clone.repro("--pull", "--allow-missing") == []
    clone.run("dvc", "pull", "dvc.yaml")
    for paths in pushed.out_files().values():
        for path in paths:
            assert (clone.root / path.relative_to(pushed.root)).read_bytes() == path.read_bytes()


def test_a_fresh_clone_reruns_what_changed_with_only_its_dependencies_pulled(
    pushed: TinyPipeline, tmp_path: Path
) -> None:
    """As CI does on a pull request: a file that a stage reads and does not declare would be missing."""
    clone = clone_of(pushed, tmp_path)
    clone.change("export.parity.tolerance", 2e-4)
    assert clone.repro("--pull", "--allow-missing", "export@bert_thin") == ["check", "export@bert_thin"]
    assert not (clone.root / "models/teacher").exists()


def test_a_killed_dvc_takes_its_stage_along_and_the_next_run_resumes(changed: TinyPipeline) -> None:
    changed.change("students.bert_thin.training.epochs", 30)
    process = changed.start("dvc", "repro", "distill@bert_thin")
    try:
        saved = changed.root / ".scratch"
        assert wait_for(lambda: [*saved.glob("distill-bert_thin-*/checkpoints/checkpoint-*/trainer_state.json")], 120)
        stage = psutil.Process(process.pid).children(recursive=True)
        assert stage != []
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert wait_for(lambda: not any(child.is_running() for child in stage), KILL_GRACE_S)
    output = changed.run("dvc", "repro", "distill@bert_thin").stdout
    resumed = re.search(r"bert_thin: resumed at step (\d+) of", output)
    assert resumed
    assert int(resumed[1]) >= 10
    assert [*(changed.root / ".scratch").glob("distill-bert_thin-*/")] == []


def test_wrong_params_stop_the_run_before_anything_is_fetched(changed: TinyPipeline) -> None:
    changed.change("fetch.dataset.name", "another")
    changed.change("report.colour", "blue")
    changed.change("benchmark.rounds", "many")
    done = changed.run("dvc", "repro", check=False)
    assert done.returncode != 0
    assert "Running stage 'check'" in done.stdout
    assert done.stdout.count("Running stage") == 1
    for word in ("report.colour", "blue", "benchmark.rounds", "many", "2 value(s) refused"):
        assert word in done.stderr
