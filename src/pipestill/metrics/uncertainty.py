"""Paired bootstrap percentile intervals over test rows (Efron and Tibshirani 1993, chapter 13).

One replicate draws as many rows as there are, with replacement. All statistics of one call use the same drawn rows, and
so do two calls with the same seed and number of rows. This pairing makes a student's interval against its teacher
narrower than the two separate intervals suggest.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipestill.metrics.calibration import bin_ids
from pipestill.records import Record

Rows: TypeAlias = npt.NDArray[np.int64]
"""Row numbers `[replicate, row]`."""
Values: TypeAlias = npt.NDArray[np.float64]
"""One number per replicate, `[replicate]`, or per row, `[row]`; NaN where the statistic is undefined."""
Statistic = Callable[[Rows], Values]

MAX_CELLS = 1 << 21
"""Row numbers drawn at a time, which bounds their memory to 16 MB."""


class Estimate(Record):
    """A value with the percentile interval around it, in the unit of the value."""

    value: float
    lower: float
    upper: float


def mean_of(values: npt.ArrayLike) -> Statistic:
    """Make the statistic of a value's mean over rows, such as accuracy."""
    per_row = np.asarray(values, dtype=np.float64)
    return lambda rows: per_row[rows].mean(axis=1)


def difference_of(first: Statistic, second: Statistic) -> Statistic:
    """Make the statistic of first minus second, on the same rows."""
    return lambda rows: first(rows) - second(rows)


def ratio_of(numerator: Statistic, denominator: Statistic) -> Statistic:
    """Make the statistic of numerator / denominator on the same rows; NaN where the denominator is 0."""

    def ratio(rows: Rows) -> Values:
        bottom = denominator(rows)
        return np.divide(numerator(rows), bottom, out=np.full(len(rows), np.nan), where=bottom != 0)

    return ratio


def macro_f1_of(predicted: npt.NDArray[np.int64], label_ids: npt.NDArray[np.int64], num_labels: int) -> Statistic:
    """Make the statistic of `quality.macro_f1` on the drawn rows, from predicted and hard label_ids `[row]`."""
    right = predicted == label_ids

    def macro_f1(rows: Rows) -> Values:
        offsets = np.arange(len(rows))[:, None] * num_labels
        size = len(rows) * num_labels
        seen = np.bincount((offsets + predicted[rows]).ravel(), minlength=size) + np.bincount(
            (truth := (offsets + label_ids[rows])).ravel(), minlength=size
        )
        hits = np.bincount(truth[right[rows]], minlength=size)
        f1 = np.divide(2.0 * hits, seen, out=np.zeros(size), where=seen > 0).reshape(len(rows), num_labels)
        counted: Values = (seen > 0).reshape(len(rows), num_labels).sum(axis=1)
        return f1.sum(axis=1) / counted

    return macro_f1


def ece_of(confidence: Values, correct: npt.NDArray[np.bool_], num_bins: int) -> Statistic:
    """Make the statistic of `calibration.ece` on the drawn rows, from confidence and correctness `[row]`."""
    which = bin_ids(confidence, num_bins)
    gap = correct - confidence

    def ece(rows: Rows) -> Values:
        cells = np.arange(len(rows))[:, None] * num_bins + which[rows]
        sums = np.bincount(cells.ravel(), weights=gap[rows].ravel(), minlength=len(rows) * num_bins)
        result: Values = np.abs(sums).reshape(len(rows), num_bins).sum(axis=1) / rows.shape[1]
        return result

    return ece


def bootstrap(
    statistics: Mapping[str, Statistic],
    num_rows: int,
    *,
    replicates: int,
    seed: int,
    confidence: float,
    max_cells: int = MAX_CELLS,
) -> dict[str, Estimate | None]:
    """Estimate statistics on all rows, each with its percentile interval over resampled rows.

    Args:
        statistics: functions by name, each from row numbers `[replicate, row]` to values `[replicate]`.
        num_rows: rows that can be drawn.
        replicates: number of draws.
        seed: random seed of the draws; equal seeds draw equal rows.
        confidence: share of replicates inside the interval, such as 0.95.
        max_cells: row numbers held at a time; bounds memory and does not change the result.

    Returns:
        The estimates by name, or None where the statistic is undefined on all rows or on a replicate.
    """
    everything = np.arange(num_rows)[None, :]
    draws: dict[str, list[Values]] = {name: [] for name in statistics}
    for rows in _draw_rows(num_rows, replicates, seed, max_cells):
        for name, statistic in statistics.items():
            draws[name].append(statistic(rows))
    return {
        name: _estimate(float(statistic(everything)[0]), np.concatenate(draws[name]), confidence)
        for name, statistic in statistics.items()
    }


def _draw_rows(num_rows: int, replicates: int, seed: int, max_cells: int) -> Iterator[Rows]:
    generator = np.random.default_rng(seed)
    at_once = max(1, max_cells // num_rows)
    for start in range(0, replicates, at_once):
        yield generator.integers(0, num_rows, size=(min(at_once, replicates - start), num_rows))


def _estimate(value: float, draws: Values, confidence: float) -> Estimate | None:
    if np.isnan(value) or np.isnan(draws).any():
        return None
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value=value, lower=float(lower), upper=float(upper))
