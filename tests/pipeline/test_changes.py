"""What a change reruns, what a kill leaves, what a fresh clone pulls: through a real `dvc repro`, on tiny data."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.tiny_pipeline import STUDENTS, TinyPipeline
from pipestill.records import read_json

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
    changed.change("students.bert_pruned.objective.0.loss.temperature", 4.0)
    ran = changed.repro()
    student = ["distill@bert_pruned", "export@bert_pruned", "evaluate@bert_pruned"]
    assert sorted(ran) == sorted(["check", *student, "benchmark", "report", "package"])


def test_a_default_reruns_the_students_that_use_it_and_a_moved_setting_reruns_check_alone(
    changed: TinyPipeline,
) -> None:
    params = changed.params()
    assert "dropout" in params["students"]["bert_pruned_alone"]["training"]
    for student in params["students"].values():
        student["seed"] = params["student_defaults"]["seed"]
    params["student_defaults"]["seed"] = 1
    changed.write_params(params)
    assert changed.repro() == ["check"]
    changed.change("student_defaults.training.dropout", 0.05)
    assert stale(changed, "data/students/") == {"distill@bert_pruned", "export@bert_pruned"}


def test_the_benchmark_s_settings_rerun_the_leaves(changed: TinyPipeline) -> None:
    changed.change("benchmark.rounds", 3)
    assert sorted(changed.repro()) == ["benchmark", "check", "package", "report"]


EDITED = (
    "stages/prepare.py",
    "src/pipestill/data/prepare.py",
    "src/pipestill/losses/soft_target_kl.py",
    "src/pipestill/training/trainer.py",
    "src/pipestill/exporters/trace.py",
    "src/pipestill/evaluation/scoring.py",
)


def edit(pipeline: TinyPipeline, path: str, before: str, after: str) -> None:
    """Replace a text that occurs once in a file."""
    text = (pipeline.root / path).read_text()
    assert text.count(before) == 1, (path, before)
    (pipeline.root / path).write_text(text.replace(before, after))


def test_comments_and_docstrings_rerun_check_alone_which_writes_the_same_bytes(changed: TinyPipeline) -> None:
    for path in EDITED:
        text = (changed.root / path).read_text()
        (changed.root / path).write_text(f'"""Other words.{text.removeprefix(chr(34) * 3)}# a comment\n')
    assert "no stage's code changed" in changed.run("python", "-m", "pipestill.code").stdout
    before = changed.lock()
    assert changed.repro() == ["check"]
    after = changed.lock()
    assert {stage for stage, entry in after.items() if entry != before[stage]} == {"check"}
    outs = [{out["path"]: out["md5"] for out in lock["check"]["outs"]} for lock in (before, after)]
    assert {path for path, md5 in outs[1].items() if outs[0][path] != md5} == {"runs/check.json"}


def test_a_new_loss_student_and_exporter_with_their_lines_rerun_check_alone(changed: TinyPipeline) -> None:
    """A file, its settings and its place in the union: no stage is made of them until params name the kind."""
    for room, kind, spec, union in (
        ("losses", "logit_mse", "LogitMseSpec(LossSpec)", "Loss = Annotated[\n"),
        ("students", "bert_layers", "BertLayersSpec(StudentSpec)", "StudentKind = Annotated[\n"),
    ):
        folder = changed.root / "src/pipestill" / room
        (folder / "mine.py").write_text((folder / f"{kind}.py").read_text().replace(spec.split("(")[0], "MySpec"))
        fields = "    layers: LayerChoice\n" if room == "students" else ""
        mine = f'class MySpec({spec.split("(")[1]}:\n    kind: Literal["mine"]\n{fields}'
        edit(changed, f"src/pipestill/{room}/params.py", union, f"{mine}\n\n{union}MySpec | ")
    exporters = "src/pipestill/exporters"
    text = (changed.root / exporters / "onnx_fp16.py").read_text().replace('Literal["onnx_fp16"]', 'Literal["mine"]')
    text = text.replace("class OnnxFp16(", "class MyOnnx(").replace('onnx_variant("fp16")', 'onnx_variant("fp16_mine")')
    (changed.root / exporters / "mine.py").write_text(text)
    edit(
        changed,
        f"{exporters}/__init__.py",
        "from pydantic import Field\n",
        "from pydantic import Field\nfrom pipestill.exporters.mine import MyOnnx\n",
    )
    edit(changed, f"{exporters}/__init__.py", "ExportFormat = Annotated[", "ExportFormat = Annotated[MyOnnx | ")
    assert changed.repro() == ["check"]
    check_further_file(changed, "mine", "fp16_mine")


def check_further_file(pipeline: TinyPipeline, kind: str, dtype: str) -> None:
    """An entry of params.yaml makes the file of every model; it is scored, timed, has its rows and is the champion."""
    settings = pipeline.params()
    settings["export"]["more"] = [{"kind": kind, "tolerance": 0.1, "max_size_fraction": 0.9}]
    settings["report"] |= {
        "variants": [f"onnx_{dtype}"],
        "constraints": dict.fromkeys(settings["report"]["constraints"], 0),
    }
    pipeline.write_params(settings)
    names = [*STUDENTS]
    expected = {"check", "export_teacher", "evaluate_teacher", "baseline", "benchmark", "report", "package"}
    expected |= {f"{stage}@{name}" for stage in ("export", "evaluate") for name in names}
    assert set(pipeline.repro()) == expected
    for name in ("teacher", *names):
        record = read_json(pipeline.root / f"metrics/export/{name}.json")
        assert record["more"][f"onnx_{dtype}"]["file"]["path"] == f"onnx/model_{dtype}.onnx"
        code = read_json(pipeline.root / f"runs/export{'_teacher' if name == 'teacher' else f'-{name}'}.json")["code"]
        assert f"src/pipestill/exporters/{kind}.py" in code
    rows = read_json(pipeline.root / "reports/summary.json")["rows"]
    timed = {row["model"] for row in rows if row["variant"] == f"onnx_{dtype}" and row["speed"]}
    assert timed == {"teacher", *names}
    assert (pipeline.root / "reports/table.txt").read_text().count(f"ONNX {dtype}") == 1 + len(names)
    (pipeline.root / "texts.txt").write_text("a good film\n")
    file = f"onnx/model_{dtype}.onnx"
    assert pipeline.run("pipestill", "predict", "models/champion", "--file", file, "texts.txt").stdout


def stale(pipeline: TinyPipeline, folder: str = "data/code/") -> set[str]:
    """The stages that rerun for new files of `check` in a folder: `check` is run, and what DVC then says is asked."""
    assert pipeline.repro("check") == ["check"]
    found = json.loads(pipeline.run("dvc", "status", "--json", "dvc.yaml").stdout)
    files = {
        stage: [path for change in why if "changed deps" in change for path in change["changed deps"]]
        for stage, why in found.items()
    }
    assert all(path.startswith(folder) for paths in files.values() for path in paths)
    return {stage.rpartition(":")[2] for stage in files}


def test_arithmetic_in_a_loss_reruns_exactly_the_students_that_use_it(changed: TinyPipeline) -> None:
    using = {
        f"distill@{name}"
        for name, student in changed.params()["students"].items()
        if any(term["loss"]["kind"] == "soft_target_kl" for term in student["objective"])
    }
    assert using == {"distill@bert_pruned"}
    edit(
        changed, "src/pipestill/losses/soft_target_kl.py", "temperature**2 * divergence", "divergence * temperature**2"
    )
    said = changed.run("python", "-m", "pipestill.code").stdout
    assert said == "distill@bert_pruned: code: losses/soft_target_kl.py\n"
    assert stale(changed) == using


def test_arithmetic_on_features_reruns_no_stage_where_no_student_reads_them(changed: TinyPipeline) -> None:
    edit(changed, "src/pipestill/losses/_products.py", "return feature.float()", "return 1.0 * feature.float()")
    assert stale(changed) == set()


def test_the_trainer_reruns_the_teacher_and_the_students(changed: TinyPipeline) -> None:
    with (changed.root / "src/pipestill/training/trainer.py").open("a") as file:
        file.write("\nMORE = 1\n")
    assert stale(changed) == {"finetune_teacher", *(f"distill@{name}" for name in STUDENTS)}


def test_a_run_record_keeps_every_module_with_its_digest(built: TinyPipeline) -> None:
    record = read_json(built.root / "runs/distill-bert_pruned.json")
    assert record["code"] == read_json(built.root / "data/code/distill-bert_pruned.json")
    assert record["code"]["src/pipestill/losses/soft_target_kl.py"]


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
    assert clone.repro("--pull", "--allow-missing", "export@bert_pruned") == ["check", "export@bert_pruned"]
    assert not (clone.root / "models/teacher").exists()


def test_a_killed_dvc_takes_its_stage_along_and_the_next_run_resumes(changed: TinyPipeline) -> None:
    changed.change("students.bert_pruned.training.epochs", 30)
    process = changed.start("dvc", "repro", "distill@bert_pruned")
    try:
        saved = changed.root / ".scratch"
        assert wait_for(lambda: [*saved.glob("distill-bert_pruned-*/checkpoints/checkpoint-*/trainer_state.json")], 120)
        stage = psutil.Process(process.pid).children(recursive=True)
        assert stage != []
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert wait_for(lambda: not any(child.is_running() for child in stage), KILL_GRACE_S)
    output = changed.run("dvc", "repro", "distill@bert_pruned").stdout
    resumed = re.search(r"bert_pruned: resumed at step (\d+) of", output)
    assert resumed
    assert int(resumed[1]) >= 10
    assert [*(changed.root / ".scratch").glob("distill-bert_pruned-*/")] == []


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
