"""Squared difference of attention scores (TinyBERT, Jiao et al. 2019, arXiv:1909.10351).

    loss = mean over layer pairs, heads and pairs of real tokens of (student_score - teacher_score)^2
    score = q k^T / sqrt(width of a head), before the softmax

Scores are computed from queries and keys, since fast attention keeps none. `layers` lists pairs [student layer,
teacher layer], counted from 1, -1 is the last; `uniform` pairs layer m of M with m * N / M of N. Teacher and student
need the same number of heads, of any width. Shapes: queries and keys `[batch, token, hidden]` of both and `[batch,
token]` to `[batch]`. Unit: squared scores. Zero when the scores are equal.
"""

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipestill.losses._base import LossInputs, LossSpec, require_features
from pipestill.losses._features import (
    LayerMap,
    Reads,
    Sizes,
    layer_pairs,
    reads_pairs,
    same_heads,
    score_pairs,
)


def attention_scores_mse(
    student_scores: Float[Tensor, "batch head token token"],
    teacher_scores: Float[Tensor, "batch head token token"],
    real: Bool[Tensor, "batch token"],
) -> Float[Tensor, " batch"]:
    """Mean squared difference of each row's scores over heads and pairs of real tokens."""
    pairs = (real[:, :, None] & real[:, None, :])[:, None]
    squares = (student_scores - teacher_scores).masked_fill(~pairs, 0.0).square()
    return squares.mean(dim=1).sum(dim=(-1, -2)) / pairs.sum(dim=(-1, -2, -3)).clamp(min=1)


class AttentionScoresMseSpec(LossSpec):
    """See `attention_scores_mse`."""

    asks_features: ClassVar[bool] = True
    kind: Literal["attention_scores_mse"]
    layers: LayerMap

    def per_row(self, inputs: LossInputs) -> Float[Tensor, " batch"]:
        """The loss of each row; see `attention_scores_mse`."""
        pair = require_features(inputs, self.kind)
        pairs = layer_pairs(self.layers, pair.student.sizes, pair.teacher.sizes, first=1)
        losses = [attention_scores_mse(student, teacher, pair.real) for student, teacher in score_pairs(pair, pairs)]
        return torch.stack(losses).mean(dim=0)

    def reads(self, student: Sizes, teacher: Sizes) -> Reads:
        """Queries and keys of the layers mapped."""
        same_heads(student, teacher, self.kind)
        return reads_pairs(("query", "key"), layer_pairs(self.layers, student, teacher, first=1), "all")
