"""Cross-entropy with the teacher's hard label (Hinton et al. 2015, arXiv:1503.02531, in the limit T to 0).

    loss = -log softmax(student_logits)[argmax over labels of teacher_logits]

It uses only the teacher's decision, so that a comparison with soft targets shows the gain from them. It needs no label,
so that every row of the transfer set counts; of two labels with equal logits the first is taken. Shapes: `[batch,
label]` twice to `[batch]`. Unit: nats. Zero when the student gives the teacher's label all its probability.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipestill.losses._base import LossInputs, require_teacher
from pipestill.losses.params import TeacherLabelCrossEntropySpec
from pipestill.tasks.tensors import decide


def teacher_label_cross_entropy(
    student_logits: Float[Tensor, "batch label"], teacher_logits: Float[Tensor, "batch label"]
) -> Float[Tensor, " batch"]:
    """Compute the cross-entropy of each row with the teacher's most probable label, in nats."""
    return functional.cross_entropy(student_logits.float(), decide(teacher_logits), reduction="none")


def per_row(spec: TeacherLabelCrossEntropySpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `teacher_label_cross_entropy`."""
    return teacher_label_cross_entropy(inputs.student_logits, require_teacher(inputs, spec.kind))
