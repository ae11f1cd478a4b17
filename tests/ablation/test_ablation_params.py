"""The grid: the one that is shipped, and every mistake in one at once."""

from pathlib import Path
from typing import Any

import pytest

from pipestill.ablation.params import Recipe, check_grid, grid_students, student_params
from pipestill.errors import ParamsError
from pipestill.params import parse_section, read_params

ROOT = Path(__file__).parents[2]
SYSTEMS = {"bert_layers", "distilbert", "albert", "bert_narrow", "gru_transformer", "bilstm", "static"}


@pytest.fixture
def grid() -> dict[str, Any]:
    return read_params(ROOT / "pipelines/ablation/params.yaml")


def test_the_grid_has_every_system_of_the_literature_and_what_each_part_adds(grid: dict[str, Any]) -> None:
    cells = check_grid(grid)
    assert {student.architecture.kind for student in cells.values()} == SYSTEMS
    own = {
        student: {cell["recipe"] for cell in grid["cells"].values() if cell["student"] == student}
        for student in grid["students"]
    }
    assert all("augmented" in recipes for recipes in own.values()), "every system learns from the teacher"
    assert own["bert_l3"] == set(grid["recipes"]), "what each part adds"
    assert all({"alone", "labels", "soft"} <= own[student] for student in ("bilstm", "static")), (
        "also without attention"
    )
    assert list(grid["recipes"]) == ["alone", "labels", "soft", "augmented", "features"]
    assert len(grid["repeats"]["seeds"]) >= 3


def test_what_a_recipe_reads_is_what_the_cache_keeps(grid: dict[str, Any]) -> None:
    """Else the cell would be refused after everything before it ran."""
    losses = {term["loss"]["kind"]: term["loss"] for term in grid["recipes"]["features"]["objective"]}
    assert {f"{part}:6" for part in losses["minilm_relations"]["parts"]} | {"hidden:6"} == set(
        grid["cache_logits"]["features"]["sites"]
    )


def test_a_recipe_takes_its_share_of_the_epochs_and_at_least_one(grid: dict[str, Any]) -> None:
    student = grid_students(grid)["static"]
    recipe = parse_section(grid, "recipes.augmented", Recipe)
    assert student_params(student, recipe, 3).training.epochs == student.training.epochs / 2
    one = student.model_copy(update={"training": student.training.model_copy(update={"epochs": 1})})
    assert student_params(one, recipe, 3).training.epochs == 1
    assert student_params(one, recipe, 3).seed == 3


def test_all_mistakes_are_told_at_once(grid: dict[str, Any]) -> None:
    grid["colour"] = "blue"
    grid["repeats"]["seeds"] = [1, 1]
    grid["recipes"]["soft"]["epochs_fraction"] = 2.0
    grid["student_defaults"]["title"] = "one for all"
    grid["student_defaults"]["training"]["epochs"] = 0
    with pytest.raises(ParamsError) as error:
        check_grid(grid)
    for words in (
        "5 value(s) refused",
        "colour: no such section",
        "given once",
        "recipes.soft.epochs_fraction",
        "student_defaults.title: every student needs its own",
        "student_defaults.training.epochs (found 0)",
    ):
        assert words in str(error.value)


def test_a_cell_that_names_what_is_not_there_or_goes_by_another_name_is_refused(grid: dict[str, Any]) -> None:
    grid["cells"] = {
        "static-magic": {"student": "static", "recipe": "magic"},
        "mine": {"student": "static", "recipe": "soft"},
    }
    with pytest.raises(ParamsError) as error:
        check_grid(grid)
    assert "cells.static-magic.recipe (found 'magic'): recipes has no such name" in str(error.value)
    assert "cells.mine: its name must be static-soft" in str(error.value)


def test_a_recipe_that_contradicts_itself_is_refused_where_it_is_used(grid: dict[str, Any]) -> None:
    grid["recipes"]["soft"]["init"] = "models/base"
    with pytest.raises(ParamsError, match=r"cells\.static-soft: .*init must be"):
        check_grid(grid)
