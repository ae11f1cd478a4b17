"""Features of teacher and student, as the losses read them: tensors by site, layer maps, attention from q and k.

Values at padding are ignored: they are set to 0 before any arithmetic, so that not even a NaN there reaches a loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from jaxtyping import Bool, Float
from pydantic import BeforeValidator
from torch import Tensor, finfo, float32, nn
from torch.nn import functional

from pipestill.errors import ModelError
from pipestill.sites import Part, Site, Tokens


@dataclass(frozen=True)
class Sizes:
    """The sizes of an encoder.

    Attributes:
        num_layers: number of Transformer layers; 0 without layers.
        hidden_size: width of its hidden states.
        num_heads: attention heads of a layer; 0 without attention.
    """

    num_layers: int
    hidden_size: int
    num_heads: int


@dataclass(frozen=True)
class Features:
    """Intermediate values of an encoder for one batch.

    Attributes:
        tensors: tensors `[batch, token, hidden]` by site; one token where only the first was kept.
        sizes: sizes of the encoder.
    """

    tensors: Mapping[Site, Float[Tensor, "batch token hidden"]]
    sizes: Sizes


@dataclass(frozen=True)
class FeaturePair:
    """The features of student and teacher, and the mask of real tokens."""

    student: Features
    teacher: Features
    real: Bool[Tensor, "batch token"]


@dataclass(frozen=True)
class Reads:
    """The sites that a loss reads, known before training starts.

    Attributes:
        student: sites of the student.
        teacher: sites of the teacher.
        tokens: `first` for the first token of each text, `all` for every token.
    """

    student: frozenset[Site] = frozenset()
    teacher: frozenset[Site] = frozenset()
    tokens: Tokens = "first"

    def __or__(self, other: "Reads") -> "Reads":
        tokens: Tokens = "all" if "all" in (self.tokens, other.tokens) else "first"
        return Reads(self.student | other.student, self.teacher | other.teacher, tokens)


def _as_pairs(value: Any) -> Any:  # noqa: ANN401 (any YAML value)
    return (
        tuple(tuple(pair) if isinstance(pair, list) else pair for pair in value) if isinstance(value, list) else value
    )


LayerPairs = tuple[tuple[int, int], ...]
LayerMap = Annotated[Literal["uniform"] | LayerPairs, BeforeValidator(_as_pairs)]
"""`uniform`, or pairs [student layer, teacher layer]; layers count from 1, and -1 is the last."""


def layer_pairs(layers: Literal["uniform"] | LayerPairs, student: Sizes, teacher: Sizes, *, first: int) -> LayerPairs:
    """Return the pairs of layers of a layer map.

    Args:
        layers: layer map; `uniform` pairs layer m of M with layer m * N / M of N, rounded.
        student: sizes of the student with M layers.
        teacher: sizes of the teacher with N layers.
        first: lowest layer: 0 for hidden states, 1 for attention.

    Raises:
        ModelError: a layer does not exist.
    """
    if layers == "uniform":
        per = teacher.num_layers / max(1, student.num_layers)
        layers = tuple((layer, int(layer * per + 0.5)) for layer in range(first, student.num_layers + 1))
    pairs = tuple(
        (one + student.num_layers + 1 if one < 0 else one, other + teacher.num_layers + 1 if other < 0 else other)
        for one, other in layers
    )
    for one, other in pairs:
        if not (first <= one <= student.num_layers and first <= other <= teacher.num_layers):
            raise ModelError(
                "a loss names a layer that is not there",
                found=f"student layer {one}, teacher layer {other}",
                expected=f"student layers {first} to {student.num_layers}, teacher layers {first} to "
                f"{teacher.num_layers}, or -1 for the last",
                next_step="correct `layers` of this loss in params.yaml",
            )
    return pairs


def reads_pairs(parts: tuple[Part, ...], pairs: LayerPairs, tokens: Tokens) -> Reads:
    """Return the sites of some parts at some pairs of layers."""
    return Reads(
        student=frozenset(Site(part, one) for part in parts for one, _ in pairs),
        teacher=frozenset(Site(part, other) for part in parts for _, other in pairs),
        tokens=tokens,
    )


def same_heads(student: Sizes, teacher: Sizes, kind: str) -> None:
    """Check that attention can be compared head by head.

    Raises:
        ModelError: teacher and student have different numbers of heads, or lack attention.
    """
    if student.num_heads != teacher.num_heads or not student.num_heads:
        raise ModelError(
            f"{kind} compares attention head by head",
            found=f"student heads {student.num_heads}, teacher heads {teacher.num_heads}",
            expected="the same number of heads",
            next_step="use minilm_relations, which needs no equal heads, or another student",
        )


def new_projection(student: Sizes, teacher: Sizes) -> nn.Module | None:
    """Make a learned map from the student's hidden size to the teacher's, `[..., hidden]`, or None for equal sizes."""
    if student.hidden_size == teacher.hidden_size:
        return None
    return nn.Linear(student.hidden_size, teacher.hidden_size, bias=False)


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
