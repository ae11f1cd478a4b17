"""The grid of the ablation's cells: students down, recipes across, each in the order of params."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Placed(Protocol):
    """An object with a place in the grid.

    Attributes:
        student: name of its row.
        recipe: name of its column.
    """

    @property
    def student(self) -> str: ...  # noqa: D102 (see the class)

    @property
    def recipe(self) -> str: ...  # noqa: D102


def ordered_cells(cells: Mapping[str, Placed], students: Sequence[str], recipes: Sequence[str]) -> list[str]:
    """List the names of the cells by student and then recipe, in the order of params."""
    return sorted(cells, key=lambda name: (students.index(cells[name].student), recipes.index(cells[name].recipe)))


def timed_cells(cells: Mapping[str, Placed], students: Sequence[str], recipes: Sequence[str]) -> dict[str, str]:
    """Return the first cell of each student, whose int8 file is timed."""
    found: dict[str, str] = {}
    for name in ordered_cells(cells, students, recipes):
        found.setdefault(cells[name].student, name)
    return found
