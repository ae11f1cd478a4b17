"""Features of teacher and student, as the losses read them: tensors by site, and which sites a loss reads.

Trainings of every kind import this module, so it holds data alone; arithmetic is in `_layers` and `_products`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from pipestill.sites import Site, Tokens


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
