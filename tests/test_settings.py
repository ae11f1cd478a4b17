"""params.yaml as a whole: every mistake told at once, each with its key, the value found and what is allowed."""

import copy
from pathlib import Path
from typing import Any

import pytest

from pipestill import settings
from pipestill.errors import ParamsError
from pipestill.params import load_section, read_params
from pipestill.settings import FILE, check_settings

ROOT = Path(__file__).parents[1]
STUDENT = "bert_pruned"


@pytest.fixture
def content() -> dict[str, Any]:
    return copy.deepcopy(read_params(ROOT / "params.yaml"))


@pytest.fixture
def pipeline() -> dict[str, Any]:
    return read_params(ROOT / "dvc.yaml")


def put(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, with the mappings on the way; a part that is a number is a place in a list."""
    *path, last = key.split(".")
    target: Any = content
    for part in path:
        target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
    target[last] = value


def test_our_own_params_pass(content: dict[str, Any], pipeline: dict[str, Any]) -> None:
    assert list(check_settings(content, pipeline)) == list(content["students"])


MISTAKES = [
    # an unknown key
    ("prepare.seeds", 1, r"prepare.seeds \(found 1\): no such key; allowed are .*contradictions.*split"),
    (f"students.{STUDENT}.training.epoch", 1, r"training.epoch \(found 1\): no such key; allowed are .*epochs"),
    (
        f"students.{STUDENT}.objective.0.loss.temp",
        2.0,
        r"objective.0.loss.temp \(found 2.0\): no such key; allowed are kind",
    ),
    ("training", {}, r"training: no such section; the sections are fetch, prepare"),
    # a wrong kind
    (f"students.{STUDENT}.architecture.kind", "lstm", r"architecture.*kind.*bert_layers"),
    (f"students.{STUDENT}.objective.0.loss.kind", "kl", r"objective.0.loss.*logit_mse.*soft_target_kl"),
    ("fetch.dataset.kind", "url", r"fetch.dataset.*named.*local"),
    ("transfer.augmentations.0.kind", "typos", r"transfer.augmentations.0.*mask_words"),
    # a number as a string, a string as a number, a fraction for a count
    ("finetune_teacher.training.learning_rate", "5e-5", r"learning_rate \(found '5e-5'\).*number"),
    ("finetune_teacher.seed", "seventeen", r"finetune_teacher.seed \(found 'seventeen'\)"),
    ("cache_logits.batch_size", 1.5, r"cache_logits.batch_size \(found 1.5\)"),
    ("cache_logits.batch_size", True, r"cache_logits.batch_size \(found True\)"),
    # out of range
    ("finetune_teacher.training.dropout", 1.0, r"dropout \(found 1.0\).*less than 1"),
    ("finetune_teacher.training.learning_rate", float("inf"), r"learning_rate \(found inf\).*finite"),
    ("prepare.split.dev_fraction", -0.1, r"prepare.split.dev_fraction \(found -0.1\)"),
    ("benchmark.rounds", 0, r"benchmark.rounds \(found 0\)"),
    (f"students.{STUDENT}.objective.0.weight", -1.0, r"objective.0.weight \(found -1.0\)"),
    ("transfer.augmentations.0.fraction", 2.0, r"transfer.augmentations.0.fraction \(found 2.0\)"),
    # what belongs together
    (f"students.{STUDENT}.init", "models/base", r"init must be models/teacher"),
    (f"students.{STUDENT}.training.accumulation_steps", 7, r"must divide batch_size"),
    ("student_defaults.training.epoch", 1, r" student_defaults.training.epoch \(found 1\): no such key; .*epochs"),
    ("student_defaults.training.dropout", 1.0, r" student_defaults.training.dropout \(found 1.0\): .*less than 1"),
    ("student_defaults.vocabulary.kind", "prune", r" student_defaults.vocabulary: .*'pruned'"),
    ("student_defaults.vocabulary.min_count", 0, r" student_defaults.vocabulary.min_count \(found 0\)"),
    ("student_defaults.colour", "red", r" student_defaults.colour \(found 'red'\): no such key; .*architecture"),
    ("student_defaults.init", "models/teacher", r" student_defaults.init: every student needs its own.*NAME.init"),
    ("student_defaults", None, r"student_defaults \(found None\): a mapping of settings is needed"),
    (
        f"students.{STUDENT}.training.dropout",
        1.0,
        rf" students.{STUDENT}.training.dropout \(found 1.0\): .*less than 1",
    ),
    (f"students.{STUDENT}.vocabulary.min_count", 0, rf" students.{STUDENT}.vocabulary.min_count \(found 0\)"),
    ("students", {}, r"students: at least one entry is needed"),
    ("students", None, r"students \(found None\): a mapping.*"),
    # names that one section uses and another does not have
    (f"students.{STUDENT}.targets", "data/ensembles/all", r"ensembles/all'\): ensembles has no all"),
    ("ensembles", {"all": {"teachers": {"teacher": 1.0, "other": 1.0}}}, r"no teacher is called other"),
    ("ensembles", {"all": {"teachers": {"teacher": 1.0}}}, r"ensembles.all.teachers.*at least 2"),
    ("ensembles", {"all": {"teachers": {"teacher": 1.0, "other": 0.0}}}, r"ensembles.all.teachers.*greater than 0"),
    # further files
    ("report.variants", ["onnx_fp16"], r"report.variants \(found 'onnx_fp16'\): the export makes onnx_fp32, onnx_int8"),
    ("report.variants", ["torch"], r"report.variants.*exported variants are expected"),
    ("report.variants", ["onnx_int8", "onnx_int8"], r"report.variants.*each at most once"),
    ("report.variants", [], r"report.variants"),
    ("export.more", [{"kind": "onnx_fp15"}], r"export.more.0.*onnx_fp16"),
    ("export.more", [{"kind": "onnx_fp16", "tolerance": 0.1}], r"export.more.0.max_size_fraction: Field required"),
    ("export.more", [{"kind": "onnx_fp32", "fuse": True}], r"export.more.*`onnx_fp32` is always exported"),
]


def test_a_further_format_and_its_variant_in_the_report_pass(content: dict[str, Any], pipeline: dict[str, Any]) -> None:
    put(content, "export.more", [{"kind": "onnx_fp16", "tolerance": 0.05, "max_size_fraction": 0.6}])
    put(content, "report.variants", ["onnx_int8", "onnx_fp16"])
    check_settings(content, pipeline)


@pytest.mark.parametrize(("key", "value", "message"), MISTAKES, ids=[f"{key}={value}" for key, value, _ in MISTAKES])
def test_a_mistake_is_told_with_key_value_and_what_is_allowed(
    content: dict[str, Any], pipeline: dict[str, Any], key: str, value: Any, message: str
) -> None:
    put(content, key, value)
    with pytest.raises(ParamsError, match=message):
        check_settings(content, pipeline)


def test_a_name_that_yaml_reads_as_a_number_is_refused(content: dict[str, Any], pipeline: dict[str, Any]) -> None:
    content["students"][3] = content["students"][STUDENT]
    with pytest.raises(ParamsError, match=r"students.3: YAML reads this name as int; begin it with a letter"):
        check_settings(content, pipeline)


PATIENT = {"weight": 1.0, "loss": {"kind": "patient_kd", "layers": "uniform"}}


def test_a_loss_of_layers_is_refused_for_a_student_that_has_none(
    content: dict[str, Any], pipeline: dict[str, Any]
) -> None:
    student = content["students"][STUDENT]
    student["objective"] = [*student["objective"], PATIENT]
    check_settings(content, pipeline)
    student["architecture"] = {"kind": "static", "embedding_size": 64, "dense_size": 64}
    with pytest.raises(ParamsError, match=r"bert_pruned.objective: patient_kd reads layers, and static has none"):
        check_settings(content, pipeline)


def test_cached_features_of_all_tokens_and_rare_words_that_are_pruned_do_not_go_together(
    content: dict[str, Any], pipeline: dict[str, Any]
) -> None:
    student = content["students"][STUDENT]
    cosine = {"weight": 1.0, "loss": {"kind": "last_hidden_cosine"}}
    content["student_defaults"]["vocabulary"] = {"kind": "pruned", "min_count": 2}
    content["cache_logits"]["features"] |= {"sites": ["hidden:6"], "tokens": "all"}
    objective = student["objective"]
    student["objective"] = [*objective, PATIENT]
    check_settings(content, pipeline)
    student["objective"] = [*objective, PATIENT, cosine]
    for key in ("student_defaults", f"students.{STUDENT}"):
        with pytest.raises(
            ParamsError, match=rf"{key}.vocabulary.min_count \(found 2\): last_hidden_cosine reads features"
        ):
            check_settings(content, pipeline)
        student["vocabulary"] = {"min_count": 2}
    content["cache_logits"]["features"]["sites"] = []
    check_settings(content, pipeline)


@pytest.mark.parametrize("section", list(FILE.sections))
def test_a_missing_section_is_named(content: dict[str, Any], pipeline: dict[str, Any], section: str) -> None:
    del content[section]
    with pytest.raises(ParamsError, match=rf"{section}: the section is missing"):
        check_settings(content, pipeline)


def test_a_missing_key_is_named(content: dict[str, Any], pipeline: dict[str, Any]) -> None:
    del content["student_defaults"]["training"]["epochs"]
    with pytest.raises(ParamsError, match=r" student_defaults.training.epochs: Field required"):
        check_settings(content, pipeline)


def test_mistakes_in_every_section_are_told_at_once(content: dict[str, Any], pipeline: dict[str, Any]) -> None:
    for section in (*FILE.sections, *(f"students.{name}" for name in content["students"])):
        put(content, f"{section}.nonsense", 1)
    with pytest.raises(ParamsError) as error:
        check_settings(content, pipeline)
    text = str(error.value)
    for section in FILE.sections:
        assert f"{section}.nonsense (found 1)" in text
    for name in content["students"]:
        assert f"students.{name}.nonsense (found 1)" in text
    assert f"{len(FILE.sections) + len(content['students'])} value(s) refused" in text


def test_a_mistake_in_the_defaults_is_told_once_and_also_where_every_student_has_a_value_of_its_own(
    content: dict[str, Any], pipeline: dict[str, Any]
) -> None:
    put(content, "student_defaults.training.dropout", 1.0)
    put(content, "student_defaults.seed", "x")
    for student in content["students"].values():
        student["seed"] = 3
    with pytest.raises(ParamsError, match=r"2 value\(s\) refused") as error:
        check_settings(content, pipeline)
    for key in ("student_defaults.training.dropout (found 1.0)", "student_defaults.seed (found 'x')"):
        assert str(error.value).count(key) == 1


@pytest.mark.parametrize("name", ["teacher", "baseline", "a.b", "a/b", "naïve", "a b", ""])
def test_a_student_whose_name_cannot_be_a_folder_and_a_stage_is_refused(
    content: dict[str, Any], pipeline: dict[str, Any], name: str
) -> None:
    content["students"] = {name: content["students"][STUDENT]}
    with pytest.raises(ParamsError, match="invalid name"):
        check_settings(content, pipeline)


def test_students_that_dvc_yaml_does_not_list_are_named_with_the_command_that_lists_them(
    content: dict[str, Any], pipeline: dict[str, Any]
) -> None:
    content["students"]["new"] = content["students"].pop(STUDENT)
    with pytest.raises(ParamsError, match=rf"(?s)students.new: .*make deps.*students.{STUDENT} is listed.*make deps"):
        check_settings(content, pipeline)


def test_a_teacher_whose_base_nobody_fetches_and_one_that_dvc_yaml_does_not_list_are_named(
    content: dict[str, Any], pipeline: dict[str, Any]
) -> None:
    content["more_teachers"]["other"] = content["finetune_teacher"] | {"base": "models/bases/albert"}
    with pytest.raises(ParamsError, match=r"(?s)more_bases has no albert.*more_teachers.other: .*make deps"):
        check_settings(content, pipeline)


def test_yaml_reads_an_exponent_as_a_number_and_no_as_a_word(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("rate: 5e-5\nanswer: no\n")
    assert read_params(path) == {"rate": 5e-5, "answer": "no"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML"),
        ("- 1\n", "does not hold sections"),
        ("", "does not hold sections"),
        ("a: \0", "not valid YAML"),
        pytest.param("a: " + "[" * 100_000, "nested more than 100 deep", id="deep lists"),
        pytest.param("- " * 100_000, "nested more than 100 deep", id="deep items"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=message):
        read_params(path)


def test_a_file_that_is_not_there_is_refused_with_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="repository root"):
        load_section("prepare", FILE.sections["prepare"], tmp_path / "params.yaml")


def test_the_command_says_what_is_wrong_and_fails(
    content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ruamel.yaml import YAML

    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    for mistake, code in ((False, 0), (True, 1)):
        content["benchmark"]["rounds"] = 0 if mistake else 3
        with Path("params.yaml").open("w") as file:
            YAML(typ="safe").dump(content, file)
        assert settings.main() == code
    assert "benchmark.rounds (found 0)" in capsys.readouterr().err
