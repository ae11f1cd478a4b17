"""Divergence of attention distributions (MobileBERT, Sun et al. 2020, arXiv:2004.02984).

    loss = mean over layer pairs, heads and real tokens of KL(teacher_attention || student_attention)
    attention = softmax over real tokens of q k^T / sqrt(width of a head)

Attention is computed from queries and keys, since fast attention keeps none. `layers` lists pairs [student layer,
teacher layer], counted from 1, -1 is the last; `uniform` pairs layer m of M with m * N / M of N. Teacher and student
need the same number of heads, of any width. Shapes: queries and keys `[batch, token, hidden]` of both and `[batch,
token]` to `[batch]`. Unit: nats. Zero when the distributions are equal.
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
    products_kl,
    reads_pairs,
    same_heads,
    score_pairs,
)


def attention_kl(
    student_scores: Float[Tensor, "batch head token token"],
    teacher_scores: Float[Tensor, "batch head token token"],
    real: Bool[Tensor, "batch token"],
) -> Float[Tensor, " batch"]:
    """KL(teacher || student) of each row's attention, averaged over heads and real tokens."""
    return products_kl(student_scores, teacher_scores, real)


class AttentionKlSpec(LossSpec):
    """See `attention_kl`."""

    asks_features: ClassVar[bool] = True
    kind: Literal["attention_kl"]
    layers: LayerMap

    def per_row(self, inputs: LossInputs) -> Float[Tensor, " batch"]:
        """The loss of each row; see `attention_kl`."""
        pair = require_features(inputs, self.kind)
        pairs = layer_pairs(self.layers, pair.student.sizes, pair.teacher.sizes, first=1)
        losses = [attention_kl(student, teacher, pair.real) for student, teacher in score_pairs(pair, pairs)]
        return torch.stack(losses).mean(dim=0)

    def reads(self, student: Sizes, teacher: Sizes) -> Reads:
        """Queries and keys of the layers mapped."""
        same_heads(student, teacher, self.kind)
        return reads_pairs(("query", "key"), layer_pairs(self.layers, student, teacher, first=1), "all")
