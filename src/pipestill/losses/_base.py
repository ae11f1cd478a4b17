"""What every loss is: a pure function from logits to one number a row, and a frozen specification of it.

A loss gives one value a row, `[batch]`, and the objective takes the mean. So a batch in four parts, accumulated, gives
the gradients of the whole batch, and a row without a label counts nothing.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from pipestill.data.schema import NO_LABEL
from pipestill.params import Section

__all__ = ["NO_LABEL", "LossInputs", "LossSpec", "require_teacher"]


@dataclass(frozen=True)
class LossInputs:
    """What a loss may read of one batch.

    Attributes:
        student_logits: `[batch, label]`.
        teacher_logits: `[batch, label]`, the same label order; None where the student learns without a teacher.
        label_ids: `[batch]`; `NO_LABEL` where a row has none.
        progress: of the training, 0 at the first optimiser step and 1 at the last; what schedules read.
    """

    student_logits: Float[Tensor, "batch label"]
    teacher_logits: Float[Tensor, "batch label"] | None
    label_ids: Int[Tensor, " batch"]
    progress: float = 0.0


class LossSpec(Section):
    """Base of every loss: a `kind`, its settings, and `per_row`.

    Attributes:
        asks_teacher: whether it needs a teacher; one that does not reads hard labels.
    """

    asks_teacher: ClassVar[bool] = True

    @abstractmethod
    def per_row(self, inputs: LossInputs) -> Float[Tensor, " batch"]:
        """The loss of each row of a batch."""


def require_teacher(inputs: LossInputs, kind: str) -> Float[Tensor, "batch label"]:
    """The teacher's logits, without a gradient.

    Raises:
        ValueError: there are none; the objective refuses such a specification before training starts.
    """
    if inputs.teacher_logits is None:
        raise ValueError(f"loss {kind} needs the teacher's logits")
    return inputs.teacher_logits.detach()
