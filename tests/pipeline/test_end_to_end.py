"""The real stages through a real `dvc repro`, on tiny data."""

import json
import re
import subprocess
from pathlib import Path

import pytest

import recipes
from pipeline.tiny_pipeline import LABELS, ROOT, STAGES, STUDENTS, TinyPipeline, slim_python
from pipestill.records import read_json, read_record
from pipestill.reporting.summary import Summary

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

OUTS = ("data/", "models/", "metrics/", "runs/", "reports/")


def test_every_stage_runs_and_makes_its_outs(built: TinyPipeline, first_stages: list[str]) -> None:
    assert set(first_stages) == STAGES
    assert len(first_stages) == len(STAGES)
    assert first_stages[0] == "check"
    for stage, paths in built.out_files().items():
        assert paths != [], stage
        assert [str(path) for path in paths if not path.is_file()] == []


def test_a_second_run_runs_nothing(built: TinyPipeline) -> None:
    assert built.repro() == []


def test_the_program_behind_make_repro_counts_the_stages_and_ends_with_the_table_and_the_next_steps(
    changed: TinyPipeline,
) -> None:
    changed.change("report.constraints.min_speedup_over_int8_teacher", 1e6)
    done = changed.run("python", "-m", "pipestill.repro")
    total = len(STAGES)
    assert re.search(rf"^\[ 1/{total}\] check \.\.\. \(", done.stdout, flags=re.MULTILINE)
    assert re.search(rf"^\[{total}/{total}\] package done in ", done.stdout, flags=re.MULTILINE)
    assert f"{total} stages in " in done.stdout
    assert f": 3 run, {total - 3} unchanged" in done.stdout
    assert "No champion: no student meets `report.constraints`" in done.stdout
    assert "`min_speedup_over_int8_teacher: 1e+06`" in done.stdout
    assert "make ui" in done.stdout
    assert not re.search("error|remote", done.stdout + done.stderr, flags=re.IGNORECASE)
    (changed.root / "texts.txt").write_text("a good film\n")
    nearest = changed.run("pipestill", "predict", "models/champion", "texts.txt")
    assert json.loads(nearest.stdout)["label"] in LABELS


def test_the_table_names_every_model(built: TinyPipeline) -> None:
    table = (built.root / "reports/table.txt").read_text()
    for model in ("baseline", "teacher", *STUDENTS):
        assert model in table


def test_the_recipes_page_says_what_the_run_reached(
    built: TinyPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = STUDENTS[0]
    for name, settings in ((student, built.params()["students"][student]), ("another", {})):
        (tmp_path / f"{name}.yaml").write_text(json.dumps({"title": "One", "student": settings}))
    (tmp_path / recipes.ORDER).write_text(json.dumps({"sections": [{"recipes": [student, "another"]}]}))
    monkeypatch.setattr(recipes, "RECIPES", tmp_path)
    monkeypatch.chdir(built.root)
    summary = read_record(Path("reports/summary.json"), Summary)
    (reached,) = (row for row in summary.rows if row.subject == f"{student}/onnx_int8")
    (line,) = (line for line in recipes.results().splitlines() if line.startswith("| `"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == len(recipes.HEADINGS.split("|"))
    assert cells[0] == f"`{student}`"
    assert f"{reached.dev.primary.value:.3f}" in cells
    assert cells[4].startswith(f"{reached.test.primary.value:.3f} [")
    assert cells[-1].endswith(f"{built.params()['student_defaults']['training']['epochs']}")


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
        # A file or folder is written under a hidden name beside its own and then renamed.
        named = re.sub(r"/\.([^/]+)\.(\w{8}$|part(?=/|$))", r"/\1", path)
        if path.startswith(OUTS) and not any(named == item or named.startswith(f"{item}/") for item in own):
            undeclared.add((stage, path))
    assert undeclared == set()


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


def test_offline_and_online_distillation_are_timed_on_few_rows_and_a_vocabulary_of_its_own(
    changed: TinyPipeline,
) -> None:
    assert changed.params()["student_defaults"]["vocabulary"]["kind"] == "pruned"
    said = changed.run("python", "tools/compare_teachers.py", "bert_pruned", "--rounds", "1").stdout
    assert re.search(r"online / offline \d+\.\d\d \(rounds: \d", said)
    assert re.search(r"the teacher's forward takes \d+% of an online epoch", said)
    done = changed.run("python", "tools/compare_teachers.py", "bert_pruned_alone", check=False)
    assert done.returncode == 2
    assert "is trained without a teacher" in done.stderr
