"""The interface between trainer and teacher: a source of targets for a batch."""

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from pipestill.losses._features import Features, Sizes

Batch = dict[str, Tensor]
"""`input_ids` and `attention_mask` `[batch, token]`, `label_id` and `row` `[batch]`."""


@dataclass(frozen=True)
class Targets:
    """The targets of a batch: a teacher's logits and features.

    Attributes:
        logits: float32 `[batch, label]` on the batch's device; None where there is no teacher.
        features: features at the requested sites; None without requested sites.
    """

    logits: Float[Tensor, "batch label"] | None = None
    features: Features | None = None


class Signal(Protocol):
    """A source of targets.

    Attributes:
        sizes: sizes of the teacher whose features it gives; None if it does not give features.
    """

    sizes: Sizes | None

    @property
    def seconds(self) -> float:
        """Seconds spent on targets so far."""

    def targets(self, batch: Batch) -> Targets:
        """Return the targets of a batch."""


class NoTeacher:
    """Source without targets, for hard labels only."""

    seconds = 0.0
    sizes: Sizes | None = None

    def targets(self, batch: Batch) -> Targets:  # noqa: ARG002 (whatever the batch)
        """Return empty targets."""
        return Targets()
