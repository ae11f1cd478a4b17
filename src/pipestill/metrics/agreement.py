"""The difference between two sets of logits for the same rows: student and teacher, or one file scored in two ways."""

import numpy as np

from pipestill.metrics.arrays import Logits, check_logits
from pipestill.records import Record
from pipestill.tasks import Task


class LogitDifference(Record):
    """The difference between two sets of logits for the same rows; all 0 and agreement 1 for equal logits."""

    max_abs_logit_difference: float
    mean_abs_logit_difference: float
    agreement: float


def agreement(task: Task, logits: Logits, other: Logits) -> float:
    """Compute the share of rows that get the same answer from both, in [0, 1].

    Raises:
        DataError: no rows, or a logit that is not finite.
    """
    check_logits(logits)
    check_logits(other)
    return float((task.decide(logits) == task.decide(other)).mean())


def logit_difference(task: Task, logits: Logits, other: Logits) -> LogitDifference:
    """Compare two sets of logits `[batch, label]` for the same rows.

    Raises:
        DataError: no rows, or a logit that is not finite.
    """
    share = agreement(task, logits, other)
    gap = np.abs(logits.astype(np.float64) - other.astype(np.float64))
    return LogitDifference(
        max_abs_logit_difference=float(gap.max()), mean_abs_logit_difference=float(gap.mean()), agreement=share
    )
