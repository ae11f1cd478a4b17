"""The objective: a weighted sum of losses."""

from jaxtyping import Float
from torch import Tensor

from pipestill.losses._base import LossInputs, LossSpec

Objective = tuple[tuple[float, LossSpec], ...]
"""Weights above 0, and the losses they belong to."""


def objective_sum(objective: Objective, inputs: LossInputs) -> Float[Tensor, ""]:
    """Sum over rows of the weighted losses; divide by the rows of the whole optimiser step for the mean."""
    values = [weight * loss.per_row(inputs).sum() for weight, loss in objective]
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
