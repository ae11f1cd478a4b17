"""The real stages through a real `dvc repro`, on tiny data."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.tiny_pipeline import LABELS, ROOT, STAGES, STUDENTS, TinyPipeline, slim_python
from pipestill.records import read_json

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("pipeline"), pytest.mark.timeout(900)]

OUTS = ("data/", "models/", "metrics/", "runs/", "reports/")
KILL_GRACE_S = 15.0


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_every_stage_runs_and_makes_its_outs(built: TinyPipeline, first_stages: list[str]) -> None:
    assert set(first_stages) == STAGES
    assert len(first_stages) == len(STAGES)
    assert first_stages[0] == "check"
    for stage, paths in built.out_files().items():
        assert paths != [], stage
        assert [str(path) for path in paths if not path.is_file()] == []


def test_a_second_run_runs_nothing(built: TinyPipeline) -> None:
    assert built.repro() == []


def test_the_table_names_every_model(built: TinyPipeline) -> None:
    table = (built.root / "reports/table.txt").read_text()
    for model in ("baseline", "teacher", *STUDENTS):
        assert model in table


def test_no_out_holds_a_run_s_id_or_where_it_was_made(built: TinyPipeline) -> None:
    """Otherwise a comment would rerun everything after it, and no other machine would make the same bytes."""
    records = [read_json(path) for path in sorted((built.root / "runs").glob("*.json"))]
    assert {record["stage"] for record in records} == STAGES
    unwanted = {str(built.root).encode(), str(ROOT).encode()}
    for record in records:
        unwanted |= {record[key].encode() for key in ("run_id", "execution_id", "key")}
    for paths in built.out_files().values():
        for path in paths:
            if "runs" not in path.relative_to(built.root).parts:
                content = path.read_bytes()
                assert [word for word in unwanted if word in content] == [], path


def test_a_stage_opens_only_files_it_depends_on_or_makes(built: TinyPipeline) -> None:
    """Whatever else it read could change without the stage noticing. Files opened by C++ libraries do not show."""
    lock = built.lock()
    undeclared = set()
    for line in built.opened.read_text().splitlines():
        stage, opened = line.split("\t")
        path = re.sub(r"__pycache__/(\w+)\.cpython-\d+\.pyc.*", r"\1.py", opened.removeprefix(f"{built.root}/"))
        own = [item["path"] for item in (*lock[stage].get("deps", []), *lock[stage]["outs"])]
        # A file is written under a hidden name beside its own and then renamed.
        named = re.sub(r"/\.([^/]+)\.\w{8}$", r"/\1", path)
        if path.startswith(OUTS) and not any(named == item or named.startswith(f"{item}/") for item in own):
            undeclared.add((stage, path))
    assert undeclared == set()


def test_a_student_s_temperature_reruns_that_student_and_the_leaves(changed: TinyPipeline) -> None:
    changed.change("students.bert_l2.objective.0.loss.temperature", 4.0)
    ran = changed.repro()
    student = ["distill@bert_l2", "export@bert_l2", "evaluate@bert_l2"]
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
    assert clone.repro("--pull", "--allow-missing", "export@bert_l2") == ["check", "export@bert_l2"]
    assert not (clone.root / "models/teacher").exists()


def test_a_killed_dvc_takes_its_stage_along_and_the_next_run_resumes(changed: TinyPipeline) -> None:
    changed.change("students.bert_l2.training.epochs", 30)
    process = changed.start("dvc", "repro", "distill@bert_l2")
    try:
        saved = changed.root / ".scratch"
        assert wait_for(lambda: [*saved.glob("distill-bert_l2-*/checkpoints/checkpoint-*/trainer_state.json")], 120)
        stage = psutil.Process(process.pid).children(recursive=True)
        assert stage != []
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert wait_for(lambda: not any(child.is_running() for child in stage), KILL_GRACE_S)
    output = changed.run("dvc", "repro", "distill@bert_l2").stdout
    resumed = re.search(r"bert_l2: resumed at step (\d+) of", output)
    assert resumed
    assert int(resumed[1]) >= 10
    assert [*(changed.root / ".scratch").glob("distill-bert_l2-*/")] == []


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


@pytest.mark.parametrize("model", ["teacher", *STUDENTS])
def test_an_exported_folder_is_all_that_predict_needs(built: TinyPipeline, model: str, tmp_path: Path) -> None:
    """Neither torch nor transformers is there, nor anything else but what an application installs."""
    command = slim_python(tmp_path / "site")
    blocked = subprocess.run([*command[:-1], "import torch"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in blocked.stderr
    done = subprocess.run(
        [*command, "predict", str(built.root / "models/onnx" / model)],
        input="a good film\nthe plot was bad\n",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 2
    assert {answer["label"] for answer in answers} <= set(LABELS)
