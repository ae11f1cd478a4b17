"""Squared difference of softened probabilities: the Brier score (Brier 1950) with the teacher as the outcome.

    loss = T^2 * sum over labels of (p - q)^2
    p = softmax(teacher_logits / T), q = softmax(student_logits / T)

The factor T^2 keeps the gradient from vanishing at high temperatures; the sum is never divided by the number of labels.
Shapes: `[batch, label]` twice to `[batch]`. Unit: squared probability times T^2, at most 2 * T^2. Zero when the two
distributions are equal.
"""

from jaxtyping import Float
from torch import Tensor

from pipestill.losses._base import LossInputs, require_teacher
from pipestill.losses.params import ProbabilityMseSpec
from pipestill.schedules import number_at
from pipestill.tasks.tensors import probabilities


def probability_mse(
    student_logits: Float[Tensor, "batch label"], teacher_logits: Float[Tensor, "batch label"], temperature: float
) -> Float[Tensor, " batch"]:
    """Compute T^2 times the squared distance of each row's probabilities at temperature T."""
    teacher = probabilities(teacher_logits, temperature)
    student = probabilities(student_logits, temperature)
    return temperature**2 * (teacher - student).square().sum(dim=-1)


def per_row(spec: ProbabilityMseSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `probability_mse`."""
    temperature = number_at(spec.temperature, inputs.progress)
    return probability_mse(inputs.student_logits, require_teacher(inputs, spec.kind), temperature)
