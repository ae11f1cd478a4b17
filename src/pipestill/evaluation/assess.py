"""Assessing the logits of a split: every metric with its interval, paired with the teacher on the same rows."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipestill.evaluation.params import EvaluateParams, QuantileSlices
from pipestill.metrics.arrays import LabelIds, Logits
from pipestill.metrics.calibration import reliability
from pipestill.metrics.confusion import confusion_matrix
from pipestill.metrics.measures import statistics
from pipestill.metrics.records import AgainstTeacher, Resampling, SplitQuality
from pipestill.metrics.slices import length_bounds, quality_by_length
from pipestill.metrics.uncertainty import Estimate, Statistic, bootstrap, difference_of, mean_of, ratio_of
from pipestill.tasks import Task


def assess(
    task: Task,
    logits: Logits,
    label_ids: LabelIds,
    texts: Sequence[str],
    params: EvaluateParams,
    teacher_logits: Logits | None = None,
) -> SplitQuality:
    """Measure the quality of logits on one split.

    Args:
        task: task that the logits answer.
        logits: logits of the rows, `[batch, label]`.
        label_ids: hard labels, `[batch]`.
        texts: text of each row, of which only the length is used.
        params: settings of bootstrap, ece bins and slices.
        teacher_logits: the teacher's PyTorch logits for the same rows; None for the teacher itself.

    Raises:
        DataError: there are no rows, or the arrays do not fit.
    """
    resampled = statistics(task.measures, logits, label_ids, num_ece_bins=params.num_ece_bins)
    if teacher_logits is not None:
        resampled |= _paired_statistics(task, resampled[task.primary.name], logits, teacher_logits, label_ids)
    estimates = bootstrap(resampled, len(label_ids), **params.bootstrap.model_dump())
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return SplitQuality(
        primary_measure=task.primary.name,
        measures={measure.name: _defined(estimates[measure.name]) for measure in task.measures},
        against_teacher=None
        if teacher_logits is None
        else AgainstTeacher(
            agreement=_defined(estimates["agreement"]),
            difference=_defined(estimates["difference"]),
            retention=estimates["retention"],
        ),
        by_length=quality_by_length(task, logits, label_ids, lengths, _bounds(lengths, params), teacher_logits),
        reliability=reliability(logits, label_ids, params.num_ece_bins),
        confusion=tuple(tuple(row) for row in confusion_matrix(logits, label_ids).tolist()),
    )


def resampling(params: EvaluateParams) -> Resampling:
    """Return the settings of the intervals of `assess`."""
    return Resampling(**params.bootstrap.model_dump())


def _paired_statistics(
    task: Task, student: Statistic, logits: Logits, teacher_logits: Logits, label_ids: LabelIds
) -> dict[str, Statistic]:
    teacher = statistics((task.primary,), teacher_logits, label_ids)[task.primary.name]
    return {
        "agreement": mean_of(task.decide(logits) == task.decide(teacher_logits)),
        "difference": difference_of(student, teacher),
        "retention": ratio_of(student, teacher),
    }


def _bounds(lengths: npt.NDArray[np.int64], params: EvaluateParams) -> tuple[int, ...]:
    if isinstance(params.slices, QuantileSlices):
        return length_bounds(lengths, params.slices.quantiles)
    return params.slices.characters


def _defined(estimate: Estimate | None) -> Estimate:
    assert estimate is not None, "a mean over at least one row is always defined"
    return estimate
