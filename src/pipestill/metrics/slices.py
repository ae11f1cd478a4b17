"""Quality by length of text, since a mean over all rows can hide failures on long texts."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipestill.metrics.agreement import agreement
from pipestill.metrics.arrays import LabelIds, Logits
from pipestill.metrics.measures import score, scores
from pipestill.records import Record
from pipestill.tasks import Task


class SliceQuality(Record):
    """Quality on the rows whose length lies in (above, up_to]; None stands for no limit on that side.

    `measures` holds the task's headline measures by name. `agreement` and `retention` are against the teacher: None for
    the teacher itself; `retention` also where the teacher is wrong on all rows.
    """

    above_characters: int | None
    up_to_characters: int | None
    num_rows: int
    measures: dict[str, float]
    agreement: float | None
    retention: float | None


def length_bounds(lengths: npt.NDArray[np.int64], quantiles: Sequence[float]) -> tuple[int, ...]:
    """Turn quantiles of length into inner bounds: ascending lengths that occur, none twice.

    Args:
        lengths: characters of each row, `[batch]`, at least one.
        quantiles: quantiles in (0, 1), such as 0.25, 0.5, 0.75 for quarters.

    Returns:
        Inner bounds in characters; fewer than quantiles where many rows share a length.
    """
    bounds = np.quantile(lengths, list(quantiles), method="inverted_cdf")
    return tuple(int(bound) for bound in np.unique(bounds) if bound < lengths.max())


def quality_by_length(
    task: Task,
    logits: Logits,
    label_ids: LabelIds,
    lengths: npt.NDArray[np.int64],
    bounds: Sequence[int],
    teacher_logits: Logits | None = None,
) -> tuple[SliceQuality, ...]:
    """Compute the quality on each non-empty slice of length, from short to long.

    Args:
        task: task that the logits answer.
        logits: logits of the rows, `[batch, label]`.
        label_ids: hard labels of the rows, `[batch]`.
        lengths: characters of each row, `[batch]`.
        bounds: inner bounds in characters, ascending; n bounds make n + 1 slices.
        teacher_logits: logits of the teacher for the same rows, `[batch, label]`.
    """
    which = np.searchsorted(np.asarray(bounds, dtype=np.int64), lengths, side="left")
    slices = []
    for number in range(len(bounds) + 1):
        inside = which == number
        if not inside.any():
            continue
        quality = scores(task.headline, logits[inside], label_ids[inside])
        teacher = None if teacher_logits is None else teacher_logits[inside]
        teacher_quality = 0.0 if teacher is None else score(task.primary, teacher, label_ids[inside])
        slices.append(
            SliceQuality(
                above_characters=bounds[number - 1] if number else None,
                up_to_characters=bounds[number] if number < len(bounds) else None,
                num_rows=int(inside.sum()),
                measures=quality,
                agreement=None if teacher is None else agreement(task, logits[inside], teacher),
                retention=quality[task.primary.name] / teacher_quality if teacher_quality else None,
            )
        )
    return tuple(slices)
