"""Shared by losses that compare attention score by score: the mean over pairs of layers, and the sites to read."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pipestill.losses._base import LossInputs, require_features
from pipestill.losses._features import Reads, Sizes
from pipestill.losses._layers import layer_pairs, reads_pairs, same_heads
from pipestill.losses._products import score_pairs
from pipestill.losses.params import AttentionSpec

Compare = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Scores of student and teacher `[batch, head, token, token]` and the real tokens `[batch, token]` to `[batch]`."""


def mean_over_layers(spec: AttentionSpec, inputs: LossInputs, compare: Compare) -> Float[Tensor, " batch"]:
    """Compute the mean of a comparison of scores over pairs of layers, for each row."""
    pair = require_features(inputs, spec.kind)
    pairs = layer_pairs(spec.layers, pair.student.sizes, pair.teacher.sizes, first=1)
    losses = [compare(student, teacher, pair.real) for student, teacher in score_pairs(pair, pairs)]
    return torch.stack(losses).mean(dim=0)


def reads(spec: AttentionSpec, student: Sizes, teacher: Sizes) -> Reads:
    """Return the queries and keys of the paired layers."""
    same_heads(student, teacher, spec.kind)
    return reads_pairs(("query", "key"), layer_pairs(spec.layers, student, teacher, first=1), "all")
