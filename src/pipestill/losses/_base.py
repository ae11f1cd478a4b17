"""The inputs of losses, and the calls that lead to the module of each.

A loss gives one value per row, `[batch]`, and the objective takes the mean. So a batch in four parts, accumulated,
gives the gradients of the whole batch, and a row without a label counts as 0.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from jaxtyping import Float, Int
from torch import Tensor, nn

from pipestill.losses._features import FeaturePair, Features, Reads, Sizes
from pipestill.losses.params import LossSpec


@dataclass(frozen=True)
class LossInputs:
    """The inputs of a loss for one batch.

    Attributes:
        student_logits: logits of the student, `[batch, label]`.
        teacher_logits: logits of the teacher, `[batch, label]`, in the same label order; None without a teacher.
        label_ids: label ids `[batch]`; `pipestill.tasks.targets.NO_LABEL` for a row without a label.
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


def per_row(spec: LossSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row of a batch."""
    losses: Float[Tensor, " batch"] = _arithmetic(spec).per_row(spec, inputs)
    return losses


def reads(spec: LossSpec, student: Sizes, teacher: Sizes) -> Reads:
    """Return the sites that a loss reads of a student and a teacher.

    Raises:
        ModelError: the two do not fit this loss.
    """
    sites: Reads = _arithmetic(spec).reads(spec, student, teacher) if spec.asks_features else Reads()
    return sites


def new_projection(spec: LossSpec, student: Sizes, teacher: Sizes) -> nn.Module | None:
    """Make the random linear map of hidden states, `[..., hidden]`, that a loss learns; None if it needs none."""
    if not spec.projects or student.hidden_size == teacher.hidden_size:
        return None
    return nn.Linear(student.hidden_size, teacher.hidden_size, bias=False)


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


def _arithmetic(spec: LossSpec) -> ModuleType:
    """Import the module of a loss: by its name, so that code is made of the losses that params name and of no other."""
    return import_module(f"pipestill.losses.{spec.kind}")
