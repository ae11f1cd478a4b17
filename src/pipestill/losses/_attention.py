"""The base of losses that compare attention score by score: layer pairs, and scores from queries and keys."""

from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipestill.losses._base import LossInputs, LossSpec, require_features
from pipestill.losses._features import Reads, Sizes
from pipestill.losses._layers import LayerMap, layer_pairs, reads_pairs, same_heads
from pipestill.losses._products import score_pairs


class AttentionSpec(LossSpec):
    """Mean over pairs of layers of `compare`.

    Attributes:
        layers: pairs of layers, or `uniform`.
    """

    asks_features: ClassVar[bool] = True
    kind: str
    layers: LayerMap

    @abstractmethod
    def compare(
        self,
        student_scores: Float[Tensor, "batch head token token"],
        teacher_scores: Float[Tensor, "batch head token token"],
        real: Bool[Tensor, "batch token"],
    ) -> Float[Tensor, " batch"]:
        """Compute the loss of each row at one pair of layers."""

    def per_row(self, inputs: LossInputs) -> Float[Tensor, " batch"]:
        """Compute the loss of each row; see `compare`."""
        pair = require_features(inputs, self.kind)
        pairs = layer_pairs(self.layers, pair.student.sizes, pair.teacher.sizes, first=1)
        losses = [self.compare(student, teacher, pair.real) for student, teacher in score_pairs(pair, pairs)]
        return torch.stack(losses).mean(dim=0)

    def reads(self, student: Sizes, teacher: Sizes) -> Reads:
        """Return the queries and keys of the paired layers."""
        same_heads(student, teacher, self.kind)
        return reads_pairs(("query", "key"), layer_pairs(self.layers, student, teacher, first=1), "all")
