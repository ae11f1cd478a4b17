"""docs/recipes: every block can be pasted under `students:`, and together they use everything there is."""

import re
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

import recipes
from pipestill.losses.params import Loss
from pipestill.students.params import StudentKind
from pipestill.training.student_params import StudentParams

TEXT = (Path(__file__).parents[2] / recipes.RECIPES).read_text()
BLOCKS, _ = recipes.read_recipes(TEXT)


def kinds(union: Any) -> set[str]:
    return {get_args(member.model_fields["kind"].annotation)[0] for member in get_args(get_args(union)[0])}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_recipe_is_a_student_that_params_yaml_takes(name: str) -> None:
    assert re.fullmatch(r"\w+", name)
    assert TypeAdapter(StudentParams).validate_python(BLOCKS[name]).terms


def test_every_student_and_every_loss_is_in_some_recipe() -> None:
    students = [TypeAdapter(StudentParams).validate_python(settings) for settings in BLOCKS.values()]
    assert {student.architecture.kind for student in students} == kinds(StudentKind)
    assert {term.loss.kind for student in students for term in student.terms} == kinds(Loss)


def test_a_block_stands_under_a_heading_of_its_own() -> None:
    assert len(BLOCKS) + 1 == TEXT.count("```yaml") == TEXT.count("\n### ")  # one is of teachers


def test_recipes_become_the_students_of_params_yaml_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[2]
    for path in (recipes.PARAMS, recipes.RECIPES):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, tmp_path / path)
    monkeypatch.chdir(tmp_path)
    before = YAML(typ="safe").load(recipes.PARAMS)
    assert recipes.main(["use", "albert", "nothing"]) == 1
    assert "['nothing']" in capsys.readouterr().err
    assert YAML(typ="safe").load(recipes.PARAMS) == before
    assert recipes.main(["use", "albert", "static"]) == 0
    after = YAML(typ="safe").load(recipes.PARAMS)
    assert after == before | {"students": {name: BLOCKS[name] for name in ("albert", "static")}}
    assert recipes.main(["use", "static:18", "static"]) == 0
    assert "*id" not in recipes.PARAMS.read_text()
    seeds = YAML(typ="safe").load(recipes.PARAMS)["students"]
    assert seeds == {"static_seed18": BLOCKS["static"] | {"seed": 18}, "static": BLOCKS["static"]}
    assert recipes.main(["use", "static:x"]) == 1
    assert "['static_seedx']" in capsys.readouterr().err
    assert recipes.main(["use"]) == 0
    assert set(YAML(typ="safe").load(recipes.PARAMS)["committees"]) == {"three"}
    assert set(YAML(typ="safe").load(recipes.PARAMS)["students"]) == set(BLOCKS)


@pytest.mark.parametrize("page", ["results.md", "committee-results.md"])
def test_the_pages_of_results_have_the_columns_that_are_written_now_and_recipes_that_there_are(page: str) -> None:
    lines = (Path(__file__).parents[2] / recipes.RECIPES.with_name(page)).read_text().splitlines()
    assert f"| {recipes.HEADINGS} |" in lines
    names = [match[1] for line in lines if (match := re.match(r"\| `(\w+)` \|", line))]
    assert names
    assert all(recipes.seeded(BLOCKS, name) for name in names)
