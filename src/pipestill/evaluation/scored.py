"""The logits of one variant of a model on every split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipestill.metrics.records import BatchSensitivity

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ScoredVariant:
    """The logits of one variant of a model, and its files.

    Attributes:
        files: sha256 by path, relative to the folder.
        size_bytes: size of the weights only.
        batch_size: rows in a forward pass.
        logits: logits by split, `[batch, label]`, in the order of the texts.
        batching: effect of batches on the test logits; None where it was not measured.
    """

    files: dict[str, str]
    size_bytes: int
    batch_size: int
    logits: dict[str, Logits]
    batching: BatchSensitivity | None
