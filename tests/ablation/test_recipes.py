"""recipes/: every recipe can be pasted under `students:`, together they use all there is, and the page shows them."""

import re
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

import recipes
from pipestill.defaults import OWN, merge
from pipestill.losses.params import Loss
from pipestill.students.params import StudentKind
from pipestill.training.student_params import StudentParams

ROOT = Path(__file__).parents[2]
FILES: dict[str, Any] = {path.stem: YAML(typ="safe").load(path) for path in (ROOT / recipes.RECIPES).glob("[!_]*.yaml")}
STUDENTS: dict[str, Any] = {name: file["student"] for name, file in FILES.items() if "student" in file}
DEFAULTS: dict[str, Any] = YAML(typ="safe").load(ROOT / recipes.PARAMS)["student_defaults"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the recipes and params.yaml, as the working directory."""
    shutil.copytree(ROOT / recipes.RECIPES, tmp_path / recipes.RECIPES)
    shutil.copy(ROOT / recipes.PARAMS, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parsed(name: str) -> StudentParams:
    return TypeAdapter(StudentParams).validate_python(merge(DEFAULTS, STUDENTS[name]))


def kinds(union: Any) -> set[str]:
    return {get_args(member.model_fields["kind"].annotation)[0] for member in get_args(get_args(union)[0])}


@pytest.mark.parametrize("name", STUDENTS)
def test_a_recipe_is_a_student_that_params_yaml_takes(name: str) -> None:
    assert re.fullmatch(r"\w+", name)
    assert parsed(name).terms
    assert STUDENTS[name].keys() >= {*OWN}


@pytest.mark.parametrize("name", STUDENTS)
def test_a_recipe_does_not_repeat_the_defaults(name: str) -> None:
    """Whoever reads it sees what sets it apart."""
    training = STUDENTS[name]["training"]
    assert not [key for key, value in STUDENTS[name].items() if DEFAULTS.get(key) == value]
    assert not [key for key, value in training.items() if DEFAULTS["training"][key] == value]


def test_every_student_and_every_loss_is_in_some_recipe() -> None:
    students = [parsed(name) for name in STUDENTS]
    assert {student.architecture.kind for student in students} == kinds(StudentKind)
    assert {term.loss.kind for student in students for term in student.terms} == kinds(Loss)


def test_the_page_is_up_to_date(folder: Path) -> None:
    assert recipes.main(["page"]) == 0
    assert (folder / recipes.PAGE).read_text() == (ROOT / recipes.PAGE).read_text(), "run `make recipes`"


def test_the_page_shows_every_recipe_with_its_title_text_and_settings() -> None:
    text = (ROOT / recipes.PAGE).read_text()
    shown = {}
    for title, body in re.findall(r"^### (.*?)\n(.*?)```\n", text, flags=re.DOTALL | re.MULTILINE):
        words, block = body.split("```yaml\n")
        shown[title] = (words.strip(), YAML(typ="safe").load(block))
    for name, file in FILES.items():
        settings = {name: file["student"]} if "student" in file else {key: file[key] for key in recipes.TEACHERS}
        assert shown.pop(file["title"]) == (file.get("text", "").strip(), settings)
    assert not shown


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("recipes/new.yaml", "title: New\nstudent: {}\n", "does not name each recipe once"),
        ("recipes/static.yaml", "title: Static\nstudents: {}\n", "static.yaml does not hold a recipe"),
        ("recipes/static.yaml", "student: {}\n", "static.yaml does not hold a recipe"),
        ("recipes/static.yaml", "title: Static\n", "either student or some of more_teachers"),
        ("recipes/static.yaml", "title: Static\nstudent: {}\nensembles: {}\n", "found:    title, student, ensembles"),
    ],
)
def test_a_file_that_is_no_recipe_of_the_page_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], path: str, text: str, message: str
) -> None:
    (folder / path).write_text(text)
    assert recipes.main(["page"]) == 1
    assert message in capsys.readouterr().err
    assert not (folder / recipes.PAGE).exists()


@pytest.mark.usefixtures("folder")
def test_recipes_become_the_students_of_params_yaml_and_the_rest_stays(capsys: pytest.CaptureFixture[str]) -> None:
    before = YAML(typ="safe").load(recipes.PARAMS)
    assert recipes.main(["use", "albert", "nothing"]) == 1
    assert "['nothing']" in capsys.readouterr().err
    assert YAML(typ="safe").load(recipes.PARAMS) == before
    assert recipes.main(["use", "albert", "static"]) == 0
    after = YAML(typ="safe").load(recipes.PARAMS)
    assert after == before | {"students": {name: STUDENTS[name] for name in ("albert", "static")}}
    assert recipes.main(["use", "static:18", "static"]) == 0
    assert "*id" not in recipes.PARAMS.read_text()
    seeds = YAML(typ="safe").load(recipes.PARAMS)["students"]
    assert seeds == {"static_seed18": STUDENTS["static"] | {"seed": 18}, "static": STUDENTS["static"]}
    assert recipes.main(["use", "static:x"]) == 1
    assert "['static_seedx']" in capsys.readouterr().err
    assert recipes.main(["use"]) == 0
    assert set(YAML(typ="safe").load(recipes.PARAMS)["ensembles"]) == {"three"}
    assert set(YAML(typ="safe").load(recipes.PARAMS)["students"]) == set(STUDENTS)


@pytest.mark.parametrize("page", ["results.md", "literature-results.md", "ensemble-results.md"])
def test_the_pages_of_results_have_the_columns_that_are_written_now_and_recipes_that_there_are(page: str) -> None:
    lines = (ROOT / recipes.RESULTS.with_name(page)).read_text().splitlines()
    assert f"| {recipes.HEADINGS} |" in lines
    names = [match[1] for line in lines if (match := re.match(r"\| `(\w+)` \|", line))]
    assert names
    assert all(recipes.seeded(STUDENTS, name) for name in names)
