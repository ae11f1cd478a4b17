"""The difference between two sets of logits for the same rows: student and teacher, or one file scored in two ways."""

import numpy as np

from pipestill.metrics.arrays import Logits, check_logits
from pipestill.metrics.quality import predicted_ids
from pipestill.records import Record


class LogitDifference(Record):
    """The difference between two sets of logits for the same rows; all 0 and agreement 1 for equal logits."""

    max_abs_logit_difference: float
    mean_abs_logit_difference: float
    agreement: float


def agreement(logits: Logits, other: Logits) -> float:
    """Compute the share of rows whose argmax is the same label, in [0, 1].

    Raises:
        DataError: no rows, or a logit that is not finite.
    """
    check_logits(logits)
    check_logits(other)
    return float((predicted_ids(logits) == predicted_ids(other)).mean())


def logit_difference(logits: Logits, other: Logits) -> LogitDifference:
    """Compare two sets of logits `[batch, label]` for the same rows.

    Raises:
        DataError: no rows, or a logit that is not finite.
    """
    share = agreement(logits, other)
    gap = np.abs(logits.astype(np.float64) - other.astype(np.float64))
    return LogitDifference(
        max_abs_logit_difference=float(gap.max()), mean_abs_logit_difference=float(gap.mean()), agreement=share
    )
