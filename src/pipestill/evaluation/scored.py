"""The logits of one form of a model on every split, however they were made."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipestill.metrics.records import BatchSensitivity

TORCH = "torch"
"""The variant that all others are compared with, in the teacher."""
LINEAR = "linear"
"""The one variant of the linear baseline."""

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ScoredVariant:
    """The logits of one form of a model, and what it was made of.

    Attributes:
        files: sha256 by path, relative to the folder.
        size_bytes: of the weights alone.
        batch_size: rows in a forward pass.
        logits: by split, `[batch, label]`, in the order of the texts.
        batching: how much the test logits depend on the batch; None where that was not measured.
    """

    files: dict[str, str]
    size_bytes: int
    batch_size: int
    logits: dict[str, Logits]
    batching: BatchSensitivity | None
