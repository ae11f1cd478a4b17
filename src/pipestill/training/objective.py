"""The objective: a weighted sum of losses, each weight a number or a schedule."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from pipestill.losses._base import LossInputs, per_row
from pipestill.losses.params import Objective
from pipestill.schedules import number_at


def objective_sum(objective: Objective, inputs: Sequence[LossInputs]) -> Float[Tensor, ""]:
    """Sum over rows of the weighted losses; divide by the rows of the whole optimiser step for the mean.

    Args:
        objective: the losses and their weights.
        inputs: logits, labels and features for each loss; they differ in their projections only.
    """
    values = [
        number_at(term.weight, given.progress) * per_row(term.loss, given).sum()
        for term, given in zip(objective, inputs, strict=True)
    ]
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
