"""Where soft targets come from, as the trainer sees it: something that answers `teacher_logits(batch)`."""

from typing import Protocol

from jaxtyping import Float
from torch import Tensor

Batch = dict[str, Tensor]
"""`input_ids` and `attention_mask` `[batch, token]`, `label_id` and `row` `[batch]`."""


class Signal(Protocol):
    """The teacher's logits for a batch."""

    seconds: float
    """Time spent answering so far, in seconds."""

    def teacher_logits(self, batch: Batch) -> Float[Tensor, "batch label"] | None:
        """Logits float32 `[batch, label]` on the batch's device; None where there is no teacher."""


class NoTeacher:
    """Hard labels only."""

    seconds = 0.0

    def teacher_logits(self, batch: Batch) -> None:
        """None: there is no teacher."""
