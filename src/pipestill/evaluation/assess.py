"""Assessing the logits of a split: every metric with its interval, paired with the teacher on the same rows."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipestill.evaluation.params import EvaluateParams, QuantileSlices
from pipestill.metrics.arrays import LabelIds, Logits, check_logits
from pipestill.metrics.calibration import confidences, reliability
from pipestill.metrics.confusion import confusion_matrix
from pipestill.metrics.quality import predicted_ids, row_nll_nats
from pipestill.metrics.records import AgainstTeacher, Resampling, SplitQuality
from pipestill.metrics.slices import length_bounds, quality_by_length
from pipestill.metrics.uncertainty import (
    Estimate,
    Statistic,
    bootstrap,
    difference_of,
    ece_of,
    macro_f1_of,
    mean_of,
    ratio_of,
)


def assess(
    logits: Logits,
    label_ids: LabelIds,
    texts: Sequence[str],
    params: EvaluateParams,
    teacher_logits: Logits | None = None,
) -> SplitQuality:
    """Measure the quality of logits on one split.

    Args:
        logits: logits of the rows, `[batch, label]`.
        label_ids: hard labels, `[batch]`.
        texts: text of each row, of which only the length is used.
        params: settings of bootstrap, ece bins and slices.
        teacher_logits: the teacher's PyTorch logits for the same rows; None for the teacher itself.

    Raises:
        DataError: there are no rows, or the arrays do not fit.
    """
    check_logits(logits, label_ids)
    statistics = _statistics(logits, label_ids, params.num_ece_bins)
    if teacher_logits is not None:
        check_logits(teacher_logits, label_ids)
        statistics |= _paired_statistics(logits, teacher_logits, label_ids)
    estimates = bootstrap(statistics, len(label_ids), **params.bootstrap.model_dump())
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return SplitQuality(
        accuracy=_defined(estimates["accuracy"]),
        macro_f1=_defined(estimates["macro_f1"]),
        nll_nats=_defined(estimates["nll_nats"]),
        ece=_defined(estimates["ece"]),
        against_teacher=None
        if teacher_logits is None
        else AgainstTeacher(
            agreement=_defined(estimates["agreement"]),
            accuracy_difference=_defined(estimates["accuracy_difference"]),
            retention=estimates["retention"],
        ),
        by_length=quality_by_length(logits, label_ids, lengths, _bounds(lengths, params), teacher_logits),
        reliability=reliability(logits, label_ids, params.num_ece_bins),
        confusion=tuple(tuple(row) for row in confusion_matrix(logits, label_ids).tolist()),
    )


def resampling(params: EvaluateParams) -> Resampling:
    """Return the settings of the intervals of `assess`."""
    return Resampling(**params.bootstrap.model_dump())


def _statistics(logits: Logits, label_ids: LabelIds, num_bins: int) -> dict[str, Statistic]:
    predicted = predicted_ids(logits)
    return {
        "accuracy": mean_of(predicted == label_ids),
        "macro_f1": macro_f1_of(predicted, label_ids, logits.shape[1]),
        "nll_nats": mean_of(row_nll_nats(logits, label_ids)),
        "ece": ece_of(confidences(logits), predicted == label_ids, num_bins),
    }


def _paired_statistics(logits: Logits, teacher_logits: Logits, label_ids: LabelIds) -> dict[str, Statistic]:
    predicted, teacher_predicted = predicted_ids(logits), predicted_ids(teacher_logits)
    student, teacher = mean_of(predicted == label_ids), mean_of(teacher_predicted == label_ids)
    return {
        "agreement": mean_of(predicted == teacher_predicted),
        "accuracy_difference": difference_of(student, teacher),
        "retention": ratio_of(student, teacher),
    }


def _bounds(lengths: npt.NDArray[np.int64], params: EvaluateParams) -> tuple[int, ...]:
    if isinstance(params.slices, QuantileSlices):
        return length_bounds(lengths, params.slices.quantiles)
    return params.slices.characters


def _defined(estimate: Estimate | None) -> Estimate:
    assert estimate is not None, "a mean over at least one row is always defined"
    return estimate
