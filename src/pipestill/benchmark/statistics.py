"""Percentiles of timed runs, and ratios taken within a round."""

from collections.abc import Sequence

import numpy as np

from pipestill.records import Record


class LatencyMs(Record):
    """Percentiles in milliseconds, by linear interpolation."""

    p50: float
    p95: float
    p99: float


class Ratio(Record):
    """A ratio taken in each round: the median, and the extremes as its spread."""

    median: float
    lowest: float
    highest: float


def summarise(values_ms: Sequence[float]) -> LatencyMs:
    """Compute percentiles of timed runs."""
    p50, p95, p99 = np.percentile(np.asarray(values_ms, dtype=np.float64), [50, 95, 99])
    return LatencyMs(p50=float(p50), p95=float(p95), p99=float(p99))


def speed_up(reference_ms: Sequence[Sequence[float]], subject_ms: Sequence[Sequence[float]]) -> Ratio:
    """Compute the speed-up of a subject over a reference: the ratio of medians in each round.

    Args:
        reference_ms: timed runs of the reference by round.
        subject_ms: timed runs of the subject in the same rounds.

    Returns:
        The ratio; 1 for equal times, above 1 where the subject is faster.
    """
    ratios = [
        float(np.median(reference) / np.median(subject))
        for reference, subject in zip(reference_ms, subject_ms, strict=True)
    ]
    return Ratio(median=float(np.median(ratios)), lowest=min(ratios), highest=max(ratios))
