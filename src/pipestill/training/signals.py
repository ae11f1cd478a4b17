"""Where targets come from, as the trainer sees it: something that answers for a batch."""

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from pipestill.losses._features import Features, Sizes

Batch = dict[str, Tensor]
"""`input_ids` and `attention_mask` `[batch, token]`, `label_id` and `row` `[batch]`."""


@dataclass(frozen=True)
class Answer:
    """What a teacher says about a batch.

    Attributes:
        logits: float32 `[batch, label]` on the batch's device; None where there is no teacher.
        features: at the sites asked for; None where none are.
    """

    logits: Float[Tensor, "batch label"] | None = None
    features: Features | None = None


class Signal(Protocol):
    """The teacher's answers.

    Attributes:
        sizes: of the teacher whose features it gives; None where it gives none.
    """

    sizes: Sizes | None

    @property
    def seconds(self) -> float:
        """Time spent answering so far."""

    def answer(self, batch: Batch) -> Answer:
        """What the teacher says about a batch."""


class NoTeacher:
    """Hard labels only."""

    seconds = 0.0
    sizes: Sizes | None = None

    def answer(self, batch: Batch) -> Answer:  # noqa: ARG002 (whatever the batch)
        """Nothing: there is no teacher."""
        return Answer()
