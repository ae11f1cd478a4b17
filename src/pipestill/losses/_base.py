"""The base of losses: each is a pure function from logits or features to one number per row, with a frozen spec.

A loss gives one value per row, `[batch]`, and the objective takes the mean. So a batch in four parts, accumulated,
gives the gradients of the whole batch, and a row without a label counts as 0.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from pipestill.data.schema import NO_LABEL
from pipestill.losses._features import FeaturePair, Features, Reads, Sizes
from pipestill.params import Section

__all__ = ["NO_LABEL", "LossInputs", "LossSpec", "require_features", "require_teacher"]


@dataclass(frozen=True)
class LossInputs:
    """The inputs of a loss for one batch.

    Attributes:
        student_logits: logits of the student, `[batch, label]`.
        teacher_logits: logits of the teacher, `[batch, label]`, in the same label order; None without a teacher.
        label_ids: label ids `[batch]`; `NO_LABEL` for a row without a label.
        progress: progress of the training for schedules, 0 at the first optimiser step and 1 at the last.
        attention_mask: `[batch, token]`, 1 on tokens and 0 on padding; None where no loss reads features.
        student_features: features of the student at the sites that the losses read.
        teacher_features: features of the teacher at the sites that the losses read.
        projection: learned map of this loss from the student's hidden size to the teacher's.
    """

    student_logits: Float[Tensor, "batch label"]
    teacher_logits: Float[Tensor, "batch label"] | None
    label_ids: Int[Tensor, " batch"]
    progress: float = 0.0
    attention_mask: Int[Tensor, "batch token"] | None = None
    student_features: Features | None = None
    teacher_features: Features | None = None
    projection: nn.Module | None = None


class LossSpec(Section):
    """Base of every loss: a `kind`, its settings, and `per_row`.

    Attributes:
        asks_teacher: whether it needs a teacher; otherwise it reads hard labels.
        asks_features: whether it reads features of teacher and student, at the sites that `reads` names.
    """

    asks_teacher: ClassVar[bool] = True
    asks_features: ClassVar[bool] = False

    @abstractmethod
    def per_row(self, inputs: LossInputs) -> Float[Tensor, " batch"]:
        """Compute the loss of each row of a batch."""

    def reads(self, student: Sizes, teacher: Sizes) -> Reads:  # noqa: ARG002 (no sites, whatever the sizes)
        """Return the sites that the loss reads of a student and a teacher.

        Raises:
            ModelError: the two do not fit this loss.
        """
        return Reads()

    def new_projection(self, student: Sizes, teacher: Sizes) -> nn.Module | None:  # noqa: ARG002 (none)
        """Make the learned map of hidden states with random weights, or None if the loss does not need one."""
        return None


def require_teacher(inputs: LossInputs, kind: str) -> Float[Tensor, "batch label"]:
    """Return the teacher's logits, without a gradient.

    Raises:
        ValueError: the logits are missing; the objective refuses such a specification before training starts.
    """
    if inputs.teacher_logits is None:
        raise ValueError(f"loss {kind} needs the teacher's logits")
    return inputs.teacher_logits.detach()


def require_features(inputs: LossInputs, kind: str) -> FeaturePair:
    """Return the features of both, the teacher's without a gradient.

    Raises:
        ValueError: the features are missing; the objective refuses such a specification before training starts.
    """
    student, teacher = inputs.student_features, inputs.teacher_features
    if student is None or teacher is None or inputs.attention_mask is None:
        raise ValueError(f"loss {kind} needs the teacher's features")
    detached = Features({site: tensor.detach() for site, tensor in teacher.tensors.items()}, teacher.sizes)
    return FeaturePair(student, detached, inputs.attention_mask.bool())
