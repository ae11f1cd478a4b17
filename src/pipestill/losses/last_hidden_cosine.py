"""Cosine between the last hidden states (DistilBERT, Sanh et al. 2019, arXiv:1910.01108).

    loss = mean over real tokens of 1 - cos(student_hidden, teacher_hidden)

Where the widths differ the student's hidden states first go through a learned projection. Shapes: `[batch, token,
hidden]` twice and `[batch, token]` to `[batch]`. Unit: 1 minus a cosine, 0 to 2. Zero when the vectors point the same
way.
"""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from pipestill.losses._base import LossInputs, require_features
from pipestill.losses._features import Reads, Sizes
from pipestill.losses._layers import layer_pairs, reads_pairs
from pipestill.losses._products import clean, token_mean
from pipestill.losses.params import LastHiddenCosineSpec
from pipestill.sites import Site


def last_hidden_cosine(
    student_hidden: Float[Tensor, "batch token hidden"],
    teacher_hidden: Float[Tensor, "batch token hidden"],
    real: Bool[Tensor, "batch token"],
) -> Float[Tensor, " batch"]:
    """Compute 1 - cosine of each row, averaged over its real tokens."""
    student, teacher = clean(student_hidden, real), clean(teacher_hidden, real)
    return token_mean(1 - functional.cosine_similarity(student, teacher, dim=-1), real)


def per_row(spec: LastHiddenCosineSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `last_hidden_cosine`."""
    pair = require_features(inputs, spec.kind)
    student = pair.student.tensors[Site("hidden", pair.student.sizes.num_layers)].float()
    if inputs.projection is not None:
        student = inputs.projection(clean(student, pair.real))
    return last_hidden_cosine(student, pair.teacher.tensors[Site("hidden", pair.teacher.sizes.num_layers)], pair.real)


def reads(spec: LastHiddenCosineSpec, student: Sizes, teacher: Sizes) -> Reads:  # noqa: ARG001 (always the last layer)
    """Return the last hidden states."""
    return reads_pairs(("hidden",), layer_pairs(((-1, -1),), student, teacher, first=1), "all")
