"""Arithmetic on features: padding set to 0, means over tokens, attention out of queries and keys.

Values at padding never count: they are set to 0 before any arithmetic, so that not even a NaN there reaches a loss.
"""

from jaxtyping import Bool, Float
from torch import Tensor, finfo, float32
from torch.nn import functional

from pipestill.losses._features import FeaturePair, Features
from pipestill.losses.params import LayerPairs
from pipestill.sites import Site


def clean(
    feature: Float[Tensor, "batch token hidden"], real: Bool[Tensor, "batch token"]
) -> Float[Tensor, "batch token hidden"]:
    """Convert a feature to float32, 0 at padding."""
    return feature.float().masked_fill(~real[..., None], 0.0)


def token_mean(values: Float[Tensor, "batch token"], real: Bool[Tensor, "batch token"]) -> Float[Tensor, " batch"]:
    """Compute the mean over the real tokens of each row."""
    return values.masked_fill(~real, 0.0).sum(dim=-1) / real.sum(dim=-1).clamp(min=1)


def split_heads(feature: Float[Tensor, "batch token hidden"], heads: int) -> Float[Tensor, "batch head token width"]:
    """Cut the hidden axis into heads."""
    batch, token, hidden = feature.shape
    return feature.view(batch, token, heads, hidden // heads).transpose(1, 2)


def scaled_products(
    one: Float[Tensor, "batch token hidden"], other: Float[Tensor, "batch token hidden"], heads: int
) -> Float[Tensor, "batch head token token"]:
    """Compute dot products between tokens, head by head, over the root of the heads' width: for q and k, the scores."""
    first, second = split_heads(one, heads), split_heads(other, heads)
    products: Tensor = first @ second.transpose(-1, -2) / first.shape[-1] ** 0.5
    return products


def score_pairs(pair: FeaturePair, layers: LayerPairs) -> list[tuple[Tensor, Tensor]]:
    """Return attention scores `[batch, head, token, token]` of student and teacher, at pairs of layers."""

    def scores(features: Features, layer: int) -> Tensor:
        query, key = (clean(features.tensors[site], pair.real) for site in (Site("query", layer), Site("key", layer)))
        return scaled_products(query, key, features.sizes.num_heads)

    return [(scores(pair.student, one), scores(pair.teacher, other)) for one, other in layers]


def products_kl(
    student: Float[Tensor, "batch head token token"],
    teacher: Float[Tensor, "batch head token token"],
    real: Bool[Tensor, "batch token"],
) -> Float[Tensor, " batch"]:
    """Compute KL(teacher || student) of softmaxes over the real tokens, in nats: mean over heads and real tokens."""
    keys = real[:, None, None, :]
    low = finfo(float32).min / 2
    teacher_log = functional.log_softmax(teacher.masked_fill(~keys, low), dim=-1)
    student_log = functional.log_softmax(student.masked_fill(~keys, low), dim=-1)
    terms = (teacher_log.exp() * (teacher_log - student_log)).masked_fill(~keys, 0.0)
    return token_mean(terms.sum(dim=-1).mean(dim=1), real)
