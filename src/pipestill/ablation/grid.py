"""Where the cells of the ablation stand: students down, recipes across, each in the order of params."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Placed(Protocol):
    """What has a place in the grid.

    Attributes:
        student: its row.
        recipe: its column.
    """

    @property
    def student(self) -> str: ...  # noqa: D102 (see the class)

    @property
    def recipe(self) -> str: ...  # noqa: D102


def ordered_cells(cells: Mapping[str, Placed], students: Sequence[str], recipes: Sequence[str]) -> list[str]:
    """The names of the cells by student and then recipe, in the order of params."""
    return sorted(cells, key=lambda name: (students.index(cells[name].student), recipes.index(cells[name].recipe)))


def timed_cells(cells: Mapping[str, Placed], students: Sequence[str], recipes: Sequence[str]) -> dict[str, str]:
    """Of each student the first of its cells, whose int8 file is timed."""
    found: dict[str, str] = {}
    for name in ordered_cells(cells, students, recipes):
        found.setdefault(cells[name].student, name)
    return found
