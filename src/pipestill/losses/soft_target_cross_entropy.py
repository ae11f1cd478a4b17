"""Cross-entropy with the teacher's soft targets (Hinton et al. 2015, arXiv:1503.02531).

    loss = T^2 * -(sum over labels of p * log q)
    p = softmax(teacher_logits / T), q = softmax(student_logits / T)

Its gradient is that of `soft_target_kl`; its value is larger by T^2 times the entropy of p. The sum runs over labels
and is never divided by their number. Shapes: `[batch, label]` twice to `[batch]`. Unit: nats times T^2. Zero when both
give one label all probability; for other teachers its minimum, T^2 times the entropy of p, lies above 0.
"""

from jaxtyping import Float
from torch import Tensor

from pipestill.losses._base import LossInputs, require_teacher
from pipestill.losses.params import SoftTargetCrossEntropySpec
from pipestill.schedules import number_at
from pipestill.tasks.tensors import log_probabilities, probabilities


def soft_target_cross_entropy(
    student_logits: Float[Tensor, "batch label"], teacher_logits: Float[Tensor, "batch label"], temperature: float
) -> Float[Tensor, " batch"]:
    """Compute T^2 times the cross-entropy of each row with the teacher's probabilities at temperature T."""
    targets = probabilities(teacher_logits, temperature)
    student_log = log_probabilities(student_logits, temperature)
    return -(temperature**2) * (targets * student_log).sum(dim=-1)


def per_row(spec: SoftTargetCrossEntropySpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `soft_target_cross_entropy`."""
    temperature = number_at(spec.temperature, inputs.progress)
    return soft_target_cross_entropy(inputs.student_logits, require_teacher(inputs, spec.kind), temperature)
