"""docs/recipes: every block can be pasted under `students:`, and together they use everything there is."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from pipestill.losses import Loss
from pipestill.students import StudentKind
from pipestill.training.student_params import StudentParams

TEXT = (Path(__file__).parents[2] / "docs/recipes/README.md").read_text()
BLOCKS: dict[str, Any] = {
    name: settings
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    for name, settings in YAML(typ="safe", pure=True).load(block).items()
}


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
    assert len(BLOCKS) == TEXT.count("```yaml") == TEXT.count("\n### ")
