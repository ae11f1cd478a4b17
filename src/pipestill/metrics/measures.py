"""The measures that tasks name: one value over all rows, or a statistic to resample."""

from collections.abc import Callable, Iterable, Mapping

from pipestill.metrics.arrays import LabelIds, Logits, check_logits
from pipestill.metrics.calibration import confidences
from pipestill.metrics.quality import accuracy, macro_f1, nll_nats, row_nll_nats
from pipestill.metrics.uncertainty import Statistic, ece_of, macro_f1_of, mean_of
from pipestill.tasks import CLASSES, Measure

_SCORES: Mapping[str, Callable[[Logits, LabelIds], float]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "nll_nats": nll_nats,
}


def score(measure: Measure, logits: Logits, targets: LabelIds) -> float:
    """Compute one measure over all rows.

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    return _SCORES[measure.name](logits, targets)


def scores(measures: Iterable[Measure], logits: Logits, targets: LabelIds) -> dict[str, float]:
    """Compute several measures over all rows, by name.

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    return {measure.name: score(measure, logits, targets) for measure in measures}


def statistics(
    measures: Iterable[Measure], logits: Logits, targets: LabelIds, *, num_ece_bins: int = 0
) -> dict[str, Statistic]:
    """Make the statistic of each measure, by name, for `uncertainty.bootstrap`.

    Args:
        measures: measures of a task.
        logits: logits of the rows, `[batch, label]`.
        targets: label_ids of the rows, `[batch]`.
        num_ece_bins: bins of the expected calibration error, where it is among the measures.

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    check_logits(logits, targets)
    decisions = CLASSES.decide(logits)
    made: dict[str, Callable[[], Statistic]] = {
        "accuracy": lambda: mean_of(CLASSES.are_right(decisions, targets)),
        "macro_f1": lambda: macro_f1_of(decisions, targets, logits.shape[1]),
        "nll_nats": lambda: mean_of(row_nll_nats(logits, targets)),
        "ece": lambda: ece_of(confidences(logits), CLASSES.are_right(decisions, targets), num_ece_bins),
    }
    return {measure.name: made[measure.name]() for measure in measures}
