"""Squared difference of logits (Ba and Caruana 2014, arXiv:1312.6184; Tang et al. 2019, arXiv:1903.12136).

    loss = mean over labels of (student_logits - teacher_logits)^2

Shapes: `[batch, label]` twice to `[batch]`. Unit: squared logits. Zero when the logits are equal. Unlike
`soft_target_kl` it also asks for equal offsets, and weighs unlikely labels as much as likely ones.
"""

from jaxtyping import Float
from torch import Tensor

from pipestill.losses._base import LossInputs, require_teacher
from pipestill.losses.params import LogitMseSpec


def logit_mse(
    student_logits: Float[Tensor, "batch label"], teacher_logits: Float[Tensor, "batch label"]
) -> Float[Tensor, " batch"]:
    """Compute the mean squared difference of each row's logits."""
    return (student_logits.float() - teacher_logits.float()).square().mean(dim=-1)


def per_row(spec: LogitMseSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `logit_mse`."""
    return logit_mse(inputs.student_logits, require_teacher(inputs, spec.kind))
