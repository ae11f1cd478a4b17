"""Figures over seeds, and paired intervals of their means."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipestill.ablation.records import Spread
from pipestill.errors import RecordError
from pipestill.evaluation.params import BootstrapParams
from pipestill.metrics.uncertainty import Estimate, bootstrap, difference_of, mean_of, ratio_of
from pipestill.tasks import Task

Right = npt.NDArray[np.float64]
"""Share of seeds that predict the row's label, `[row]`."""


def spread(values: Sequence[float]) -> Spread:
    """Compute mean and sample standard deviation of a figure over seeds."""
    found = np.asarray(values, dtype=np.float64)
    deviation = float(found.std(ddof=1)) if len(found) > 1 else None
    return Spread(mean=float(found.mean()), deviation=deviation, lowest=float(found.min()), highest=float(found.max()))


def mean_agreement(task: Task, logits: Sequence[npt.NDArray[np.float32]], teacher: npt.NDArray[np.float32]) -> float:
    """Compute the share of rows that a model and the teacher answer alike, mean over seeds.

    Args:
        task: task that the logits answer.
        logits: logits of each seed, `[row, label]`, for the same rows.
        teacher: logits of the teacher, `[row, label]`.
    """
    return float(np.mean([task.decide(one) == task.decide(teacher) for one in logits]))


def share_right(task: Task, logits: Sequence[npt.NDArray[np.float32]], label_ids: npt.NDArray[np.int64]) -> Right:
    """Pool seeds row by row.

    Args:
        task: task that the logits answer.
        logits: logits of each seed, `[row, label]`, for the same rows.
        label_ids: hard labels of the rows, `[row]`.
    """
    right: Right = np.mean([task.are_right(task.decide(one), label_ids) for one in logits], axis=0, dtype=np.float64)
    return right


def compare(one: Right, other: Right, params: BootstrapParams) -> tuple[Estimate, Estimate | None]:
    """Compute the difference of two means and their ratio, each with its interval over the same drawn rows.

    Args:
        one: share of seeds that are right, for each row.
        other: share of the other model's seeds that are right, for the same rows.
        params: replicates, seed and confidence.

    Returns:
        The difference, and the ratio; None where the other is wrong on all rows of a replicate.

    Raises:
        RecordError: the numbers of rows differ.
    """
    if len(one) != len(other):
        raise RecordError("two cells were scored on different rows", found=f"{len(one)} and {len(other)} rows")
    first, second = mean_of(one), mean_of(other)
    found = bootstrap(
        {"difference": difference_of(first, second), "ratio": ratio_of(first, second)},
        len(one),
        **params.model_dump(),
    )
    difference = found["difference"]
    assert difference is not None, "a difference of means is always defined"
    return difference, found["ratio"]
