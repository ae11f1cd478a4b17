"""Probability calibration (not that of a quantiser): whether a confidence of 0.8 is right 8 times in 10.

Expected calibration error with equal-width bins on confidence (Naeini et al. 2015; Guo et al., arXiv:1706.04599):
ece = sum over bins of (rows in bin / rows) * |accuracy in bin - mean confidence in bin|; 0 when they match in all bins.
"""

import numpy as np
from jaxtyping import Float, Int

from pipestill.metrics.arrays import LabelIds, Logits, check_logits
from pipestill.metrics.quality import log_softmax
from pipestill.records import Record
from pipestill.tasks import CLASSES


class ReliabilityBin(Record):
    """One non-empty bin of the reliability curve: confidences in (lower, upper]."""

    lower: float
    upper: float
    num_rows: int
    mean_confidence: float
    right_fraction: float


def confidences(logits: Logits) -> Float[np.ndarray, " batch"]:
    """Compute the probability of the predicted label of each row, in [1 / num_labels, 1]."""
    result: np.ndarray = np.exp(log_softmax(logits).max(axis=1))
    return result


def bin_ids(confidence: Float[np.ndarray, " batch"], num_bins: int) -> Int[np.ndarray, " batch"]:
    """Assign each confidence to its bin: bin k holds (k / num_bins, (k + 1) / num_bins]."""
    result: np.ndarray = np.clip(np.ceil(confidence * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    return result


def ece(logits: Logits, label_ids: LabelIds, num_bins: int) -> float:
    """Compute the expected calibration error, a fraction in [0, 1].

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    bins = reliability(logits, label_ids, num_bins)
    return sum(part.num_rows * abs(part.right_fraction - part.mean_confidence) for part in bins) / len(label_ids)


def reliability(logits: Logits, label_ids: LabelIds, num_bins: int) -> tuple[ReliabilityBin, ...]:
    """Compute the reliability curve: accuracy against mean confidence, in the non-empty bins from low to high.

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    check_logits(logits, label_ids)
    confidence = confidences(logits)
    correct = CLASSES.are_right(CLASSES.decide(logits), label_ids)
    which = bin_ids(confidence, num_bins)
    return tuple(
        ReliabilityBin(
            lower=number / num_bins,
            upper=(number + 1) / num_bins,
            num_rows=int(inside.sum()),
            mean_confidence=float(confidence[inside].mean()),
            right_fraction=float(correct[inside].mean()),
        )
        for number in range(num_bins)
        if (inside := which == number).any()
    )
