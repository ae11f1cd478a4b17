"""The report of a pull request, from states made by hand."""

import json
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

import pr_report
from pipestill.tracking.identity import StageIdentity
from pipestill.tracking.lock import Made


def made(stage: str, outs: dict[str, str], deps: dict[str, str] | None = None, **params: object) -> Made:
    identity = StageIdentity(stage=stage, cmd="python x.py", deps=deps or {}, params={"params.yaml": params})
    return Made(identity, outs, None)


TEACHER = made("finetune_teacher", {"models/teacher": "1"}, finetune_teacher={"training": {"epochs": 2}})
LEAF = made("benchmark", {"metrics/benchmark.json": "2"}, {"models/teacher": "1"}, benchmark={"rounds": 2})


def state(*stages: Made, **results: dict[str, float]) -> pr_report.State:
    return pr_report.State(stages={item.identity.stage: item for item in stages}, results=results)


def test_an_untouched_model_is_said_to_be_the_base_s() -> None:
    after = made("benchmark", {"metrics/benchmark.json": "3"}, {"models/teacher": "1"}, benchmark={"rounds": 3})
    said = pr_report.outcome(state(TEACHER, LEAF), state(TEACHER, after), ["benchmark"])
    assert "1 of 2 stages ran here: benchmark." in said
    assert "No model was trained or exported: teacher, students and ONNX files are the base's." in said
    assert list(pr_report.reasons(LEAF, after)) == ["param `benchmark.rounds`: 2 → 3"]


def test_a_new_card_in_the_champion_s_folder_makes_no_model() -> None:
    old, new = made("package", {"models/champion": "1"}), made("package", {"models/champion": "2"})
    said = pr_report.outcome(state(TEACHER, old), state(TEACHER, new), ["package"])
    assert "No model was trained or exported: teacher, students and ONNX files are the base's." in said


def test_a_model_that_was_made_here_is_named_even_if_its_bytes_are_the_same() -> None:
    said = pr_report.outcome(state(TEACHER), state(TEACHER), ["finetune_teacher"])
    assert "Models were made anew by finetune_teacher." in said
    assert list(pr_report.stage_rows(state(TEACHER), state(TEACHER), ["finetune_teacher"])) == [
        ["`finetune_teacher`", "ran, the same files came out", "no cache or remote had its outs"]
    ]


def test_a_model_that_came_from_the_remote_is_not_called_the_base_s() -> None:
    other = made("finetune_teacher", {"models/teacher": "9"}, finetune_teacher={"training": {"epochs": 3}})
    assert "what differs came from the remote" in pr_report.outcome(state(TEACHER), state(other), [])
    assert list(pr_report.stage_rows(state(TEACHER), state(other), [])) == [
        ["`finetune_teacher`", "came from the remote", "param `finetune_teacher.training.epochs`: 2 → 3"]
    ]


def test_the_report_shows_results_that_moved_came_and_went_and_no_others() -> None:
    base = state(TEACHER, a={"accuracy": 0.8, "p50_ms": 2.0}, gone={"accuracy": 0.5})
    here = state(TEACHER, a={"accuracy": 0.8, "p50_ms": 1.0}, new={"size_bytes": 2e6})
    text = pr_report.report("0" * 40, base, here, [], "gate: fine", ["curves.png"])
    assert "| `a p50_ms` | 2 ms | 1 ms | -1 (-50.0%) |" in text
    assert "| `gone accuracy` | 0.5 | none |  |" in text
    assert "| `new size_bytes` | none | 2,000,000 B |  |" in text
    assert "a accuracy" not in text
    assert "![curves.png](figures/curves.png)" in text


def test_a_base_without_results_is_said_to_have_none() -> None:
    text = pr_report.report("0" * 40, state(), state(TEACHER, a={"accuracy": 0.8}), ["finetune_teacher"], "", [])
    assert "The base has no results to compare with." in text
    assert "| `finetune_teacher` | ran | new stage |" in text


def test_a_param_full_of_signs_is_shown_as_it_is() -> None:
    base, here = pr_report.State(params={"a|b": "*x*"}), pr_report.State(params={"a|b": "1|2\n<b>$3$"})
    text = pr_report.report("0" * 40, base, here, [], "", [])
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    row = [cell for token, cell in pairwise(parsed) if token.type == "td_open"]
    shown = ["".join(part.content for part in cell.children or ()) for cell in row]
    assert shown == ["a|b", "*x*", "1|2 <b>$3$"]


def test_locks_of_text_are_read_as_the_files_are() -> None:
    lock = {"stages": {"a": {"cmd": "x", "deps": [{"path": "d", "md5": "1"}], "outs": [{"path": "o", "md5": "2"}]}}}
    text = json.dumps(lock)
    read = pr_report.stages_of({Path("dvc.lock"): text, Path("pipelines/mlm/dvc.lock"): text})
    assert set(read) == {"a", "pipelines/mlm/dvc.yaml:a"}
    assert read["a"].identity.deps == {"d": "1"}
    assert read["a"].outs == {"o": "2"}


def test_stages_of_another_pipeline_that_ran_count_and_those_that_did_not_do_not() -> None:
    ours, other = made("distill@general", {"models/students/general": "1"}), made("m", {"models/mlm/student": "2"})
    stages = {"distill@general": ours, "pipelines/mlm/dvc.yaml:m": other, "pipelines/x/dvc.yaml:x": other}
    ran = ["pipelines/mlm/dvc.yaml:m", "distill@general"]
    said = pr_report.outcome(state(), pr_report.State(stages=stages), ran)
    assert "2 of 2 stages ran here: pipelines/mlm/dvc.yaml:m, distill@general." in said
    assert "Models were made anew by pipelines/mlm/dvc.yaml:m, distill@general." in said


def test_a_stage_that_is_gone_is_said_to_be() -> None:
    assert list(pr_report.stage_rows(state(TEACHER, LEAF), state(TEACHER), [])) == [
        ["`benchmark`", "gone", "dvc.yaml has it no more"]
    ]


def test_a_summary_of_another_schema_gives_the_numbers_it_has() -> None:
    rows = [
        {"model": "a", "variant": "x"},
        {"model": "b", "variant": "x", "test": {"measures": {"ece": {"value": 0.1}}, "agreement": None}},
    ]
    assert pr_report.numbers(json.dumps({"rows": rows})) == {"a/x": {}, "b/x": {"ece": 0.1}}
    assert pr_report.numbers("{}") == {}


def test_changed_settings_of_a_student_are_named_where_both_files_are_to_be_had() -> None:
    path = "data/students/a.json"
    before, after = made("distill@a", {}, {path: "1"}), made("distill@a", {}, {path: "2"})
    files = {
        "1": {"seed": 17, "training": {"epochs": 1}},
        "2": {"seed": 17, "training": {"epochs": 2, "dropout": 0.1}},
    }
    said = ["setting `training.epochs`: 1 → 2", "setting `training.dropout`: nothing → 0.1"]
    assert list(pr_report.reasons(before, after, files)) == said
    assert list(pr_report.reasons(before, after, {"1": files["1"]})) == [f"file `{path}`"]
    assert list(pr_report.reasons(before, after)) == [f"file `{path}`"]


def test_changed_code_is_named_by_module_where_both_lists_are_to_be_had() -> None:
    path = "data/code/distill-a.json"
    before, after = made("distill@a", {}, {path: "1", "models/teacher": "3"}), made("distill@a", {}, {path: "2"})
    kl, new = "src/pipestill/losses/soft_target_kl.py", "src/pipestill/text/new.py"
    lists = {"1": {kl: "x", "stages/distill.py": "x"}, "2": {kl: "y", new: "y", "stages/distill.py": "x"}}
    said = list(pr_report.reasons(before, after, lists))
    assert said == ["code: `losses/soft_target_kl.py`, `text/new.py`", "file `models/teacher`"]
    assert f"file `{path}`" in pr_report.reasons(before, after, {"1": lists["1"]})
    row = ["`distill@a`", "came from the remote", "; ".join(said)]
    assert list(pr_report.stage_rows(state(before), state(after), [], lists)) == [row]
