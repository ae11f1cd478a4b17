"""Pairs of layers, of student and teacher: those that a layer map stands for, and the sites that they read."""

from typing import Literal

from pipestill.errors import ModelError
from pipestill.losses._features import Reads, Sizes
from pipestill.losses.params import LayerPairs
from pipestill.sites import Part, Site, Tokens


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
