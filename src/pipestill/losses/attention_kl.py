"""Divergence of attention distributions (MobileBERT, Sun et al. 2020, arXiv:2004.02984).

    loss = mean over layer pairs, heads and real tokens of KL(teacher_attention || student_attention)
    attention = softmax over real tokens of q k^T / sqrt(width of a head)

Attention is computed from queries and keys, since fast attention does not return it. `layers` lists pairs [student
layer, teacher layer], counted from 1, -1 is the last; `uniform` pairs layer m of M with m * N / M of N. Teacher and
student need the same number of heads, of any width. Shapes: queries and keys `[batch, token, hidden]` of both and
`[batch, token]` to `[batch]`. Unit: nats. Zero when the distributions are equal.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from pipestill.losses._attention import mean_over_layers, reads
from pipestill.losses._base import LossInputs
from pipestill.losses._products import products_kl
from pipestill.losses.params import AttentionKlSpec

__all__ = ["attention_kl", "per_row", "reads"]


def attention_kl(
    student_scores: Float[Tensor, "batch head token token"],
    teacher_scores: Float[Tensor, "batch head token token"],
    real: Bool[Tensor, "batch token"],
) -> Float[Tensor, " batch"]:
    """Compute KL(teacher || student) of each row's attention, averaged over heads and real tokens."""
    return products_kl(student_scores, teacher_scores, real)


def per_row(spec: AttentionKlSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `attention_kl`."""
    return mean_over_layers(spec, inputs, attention_kl)
