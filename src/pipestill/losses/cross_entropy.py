"""Cross-entropy with the hard label.

    loss = -log softmax(student_logits)[label_id]

Shapes: `[batch, label]`, `[batch]` to `[batch]`. Unit: nats. Zero when the student gives the label all its
probability. A row without a label (`NO_LABEL`) has loss 0 and no gradient.
"""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from pipestill.losses._base import LossInputs
from pipestill.losses.params import CrossEntropySpec
from pipestill.tasks.targets import NO_LABEL


def cross_entropy(
    student_logits: Float[Tensor, "batch label"], label_ids: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Compute the cross-entropy of each row with its hard label, in nats."""
    return functional.cross_entropy(student_logits.float(), label_ids, ignore_index=NO_LABEL, reduction="none")


def per_row(spec: CrossEntropySpec, inputs: LossInputs) -> Float[Tensor, " batch"]:  # noqa: ARG001 (it has no settings)
    """Compute the loss of each row; see `cross_entropy`."""
    return cross_entropy(inputs.student_logits, inputs.label_ids)
