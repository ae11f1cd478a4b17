"""Defaults of students: how they merge, and which students' files change with them."""

import copy
from pathlib import Path
from typing import Any

import pytest

from pipestill.defaults import merge, place, with_defaults, write_students
from pipestill.params import parse_section, read_params
from pipestill.records import read_record
from pipestill.student_files import settings_file
from pipestill.training.student_params import StudentParams

ROOT = Path(__file__).parents[1]
DEFAULTS = {
    "seed": 1,
    "vocabulary": {"kind": "pruned", "min_count": 1},
    "training": {"epochs": 2, "rate": {"kind": "constant", "value": 0.1}},
    "objective": [{"weight": 1.0}, {"weight": 2.0}],
}


@pytest.mark.parametrize(
    ("own", "changes"),
    [
        ({}, {}),
        ({"seed": 2}, {"seed": 2}),
        ({"init": "models/base"}, {"init": "models/base"}),
        # key by key, also without naming the kind again
        ({"vocabulary": {"min_count": 3}}, {"vocabulary": {"kind": "pruned", "min_count": 3}}),
        ({"vocabulary": {"kind": "pruned"}}, {}),
        ({"training": {"epochs": 5}}, {"training": {"epochs": 5, "rate": {"kind": "constant", "value": 0.1}}}),
        # another kind replaces the whole, at any depth
        ({"vocabulary": {"kind": "full"}}, {"vocabulary": {"kind": "full"}}),
        ({"training": {"rate": {"kind": "linear"}}}, {"training": {"epochs": 2, "rate": {"kind": "linear"}}}),
        # a list replaces the list, and a value the mapping
        ({"objective": [{"weight": 3.0}]}, {"objective": [{"weight": 3.0}]}),
        ({"training": 4}, {"training": 4}),
    ],
)
def test_a_student_s_own_settings_go_before_the_defaults(own: dict[str, Any], changes: dict[str, Any]) -> None:
    before = copy.deepcopy((DEFAULTS, own))
    assert merge(DEFAULTS, own) == DEFAULTS | changes
    assert (DEFAULTS, own) == before


def test_params_without_defaults_keep_their_students() -> None:
    """Run records from before there were defaults hold such params."""
    content = {"seed": 1, "students": {"a": {"seed": 2}}}
    assert with_defaults(content) == content
    assert with_defaults({"evaluate": {}}) == {"evaluate": {}}


def test_a_value_is_placed_where_params_yaml_sets_it() -> None:
    own = {"training": {"epochs": 5}, "objective": [{}], "vocabulary": {"kind": "full"}}
    content = {"student_defaults": DEFAULTS, "students": {"a": own, "b": {}}}
    places = {
        ("training", "epochs"): "students.a.training.epochs",
        ("training", "rate", "value"): "student_defaults.training.rate.value",
        ("training", "missing"): "students.a.training.missing",
        ("objective", "0", "weight"): "students.a.objective.0.weight",
        ("vocabulary", "min_count"): "students.a.vocabulary.min_count",
        (): "students.a",
    }
    assert {path: place(content, "a", path) for path in places} == places
    assert place(content, "b", ("objective", "0", "weight")) == "student_defaults.objective.0.weight"


@pytest.fixture
def content() -> dict[str, Any]:
    return copy.deepcopy(read_params(ROOT / "params.yaml"))


def written(content: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """The bytes of each student's file."""
    whole = with_defaults(content)
    students = {name: parse_section(whole, f"students.{name}", StudentParams) for name in whole["students"]}
    write_students(content, students, folder)
    for name, student in students.items():
        assert read_record(settings_file(name, folder), StudentParams) == student
    return {name: settings_file(name, folder).read_bytes() for name in students}


def changed_by(content: dict[str, Any], before: dict[str, bytes], folder: Path) -> set[str]:
    return {name for name, file in written(content, folder).items() if file != before[name]}


def test_a_default_changes_the_files_of_the_students_that_use_it(content: dict[str, Any], tmp_path: Path) -> None:
    before = written(content, tmp_path)
    content["student_defaults"]["training"]["dropout"] = 0.2
    assert changed_by(content, before, tmp_path) == {"bert_pruned", "bilstm"}, "the other has a dropout of its own"
    content["student_defaults"]["training"]["epochs"] = 3
    assert changed_by(content, before, tmp_path) == {*before}


def test_a_default_that_every_student_overrides_changes_no_file(content: dict[str, Any], tmp_path: Path) -> None:
    for student in content["students"].values():
        student["vocabulary"] = {"kind": "full"}
        student.setdefault("training", {})["epochs"] = 2
    before = written(content, tmp_path)
    content["student_defaults"]["training"]["epochs"] = 9
    content["student_defaults"]["vocabulary"]["min_count"] = 9
    assert changed_by(content, before, tmp_path) == set()


def test_a_value_moved_between_defaults_and_students_changes_no_file(content: dict[str, Any], tmp_path: Path) -> None:
    before = written(content, tmp_path)
    defaults = content["student_defaults"]
    moved = {key: defaults.pop(key) for key in ("vocabulary", "seed")}
    moved["training"] = {key: defaults["training"].pop(key) for key in ("schedule", "epochs", "dropout")}
    for name, student in content["students"].items():
        content["students"][name] = dict(reversed([*merge(moved, student).items()]))
    assert changed_by(content, before, tmp_path) == set()
    content["student_defaults"]["objective"] = content["students"]["bilstm"].pop("objective")
    assert changed_by(content, before, tmp_path) == set()
