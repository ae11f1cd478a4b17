"""Squared difference of attention scores (TinyBERT, Jiao et al. 2019, arXiv:1909.10351).

    loss = mean over layer pairs, heads and pairs of real tokens of (student_score - teacher_score)^2
    score = q k^T / sqrt(width of a head), before the softmax

Scores are computed from queries and keys, since fast attention keeps none. `layers` lists pairs [student layer,
teacher layer], counted from 1, -1 is the last; `uniform` pairs layer m of M with m * N / M of N. Teacher and student
need the same number of heads, of any width. Shapes: queries and keys `[batch, token, hidden]` of both and `[batch,
token]` to `[batch]`. Unit: squared scores. Zero when the scores are equal.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from pipestill.losses._attention import mean_over_layers, reads
from pipestill.losses._base import LossInputs
from pipestill.losses.params import AttentionScoresMseSpec

__all__ = ["attention_scores_mse", "per_row", "reads"]


def attention_scores_mse(
    student_scores: Float[Tensor, "batch head token token"],
    teacher_scores: Float[Tensor, "batch head token token"],
    real: Bool[Tensor, "batch token"],
) -> Float[Tensor, " batch"]:
    """Compute the mean squared difference of each row's scores over heads and pairs of real tokens."""
    pairs = (real[:, :, None] & real[:, None, :])[:, None]
    squares = (student_scores - teacher_scores).masked_fill(~pairs, 0.0).square()
    return squares.mean(dim=1).sum(dim=(-1, -2)) / pairs.sum(dim=(-1, -2, -3)).clamp(min=1)


def per_row(spec: AttentionScoresMseSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `attention_scores_mse`."""
    return mean_over_layers(spec, inputs, attention_scores_mse)
