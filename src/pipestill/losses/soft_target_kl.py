"""Kullback-Leibler divergence from the teacher's soft targets (Hinton et al. 2015, arXiv:1503.02531).

    loss = T^2 * sum over labels of p * (log p - log q)
    p = softmax(teacher_logits / T), q = softmax(student_logits / T)

The factor T^2 keeps the gradient's size independent of the temperature T: without it the gradient falls with 1 / T^2.
The sum runs over labels and is never divided by their number. Shapes: `[batch, label]` twice to `[batch]`. Unit: nats
times T^2. Zero when the two distributions are equal.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipestill.losses._base import LossInputs, require_teacher
from pipestill.losses.params import SoftTargetKlSpec
from pipestill.schedules import number_at
from pipestill.tasks.tensors import log_probabilities


def soft_target_kl(
    student_logits: Float[Tensor, "batch label"], teacher_logits: Float[Tensor, "batch label"], temperature: float
) -> Float[Tensor, " batch"]:
    """Compute T^2 * KL(teacher || student) of each row at temperature T."""
    teacher_log = log_probabilities(teacher_logits, temperature)
    student_log = log_probabilities(student_logits, temperature)
    divergence = functional.kl_div(student_log, teacher_log, log_target=True, reduction="none").sum(dim=-1)
    return temperature**2 * divergence


def per_row(spec: SoftTargetKlSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `soft_target_kl`."""
    temperature = number_at(spec.temperature, inputs.progress)
    return soft_target_kl(inputs.student_logits, require_teacher(inputs, spec.kind), temperature)
