"""The objective: a weighted sum of losses, each weight a number or a schedule."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pipestill.losses._base import LossInputs, LossSpec
from pipestill.schedules import Schedule, number_at


@dataclass(frozen=True)
class Term:
    """A loss that counts, and how much."""

    weight: float | Schedule
    loss: LossSpec


Objective = tuple[Term, ...]


def objective_sum(objective: Objective, inputs: LossInputs) -> Float[Tensor, ""]:
    """Sum over rows of the weighted losses; divide by the rows of the whole optimiser step for the mean."""
    values = [number_at(term.weight, inputs.progress) * term.loss.per_row(inputs).sum() for term in objective]
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
