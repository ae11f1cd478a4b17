"""Means, spreads and pooled paired intervals by hand-worked cases."""

import numpy as np
import pytest

from pipestill.ablation.statistics import compare, share_right, spread
from pipestill.errors import RecordError
from pipestill.evaluation.params import BootstrapParams
from pipestill.tasks import CLASSES


def bootstrap(confidence: float = 0.95) -> BootstrapParams:
    return BootstrapParams(replicates=4000, seed=1, confidence=confidence)


def test_the_spread_of_three_seeds_is_their_sample_standard_deviation() -> None:
    found = spread([0.80, 0.82, 0.84])
    assert (found.mean, found.lowest, found.highest) == (pytest.approx(0.82), 0.80, 0.84)
    assert found.deviation == pytest.approx(0.02), "n - 1 in the denominator: sqrt((4 + 0 + 4) / 2) hundredths"
    assert spread([0.8]).deviation is None


def test_seeds_are_pooled_row_by_row() -> None:
    label_ids = np.array([0, 1, 1])
    sure = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    wrong_on_the_last = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    assert share_right(CLASSES, [sure, wrong_on_the_last], label_ids).tolist() == [1.0, 1.0, 0.5]


def test_the_interval_of_four_rows_is_the_one_worked_out_by_hand() -> None:
    # The rows differ by 1, 1, 0 and 0, so the number of ones among four drawn rows is binomial: none with probability
    # 1/16, at most one with 5/16. The middle 80% of the draws reach from 1/4 to 3/4, the middle 95% from 0 to 1.
    one, other = np.array([1.0, 1.0, 0.5, 0.5]), np.array([0.0, 0.0, 0.5, 0.5])
    narrow, ratio = compare(one, other, bootstrap(0.8))
    wide, _ = compare(one, other, bootstrap(0.95))
    assert (narrow.value, narrow.lower, narrow.upper) == (0.5, 0.25, 0.75)
    assert (wide.value, wide.lower, wide.upper) == (0.5, 0.0, 1.0)
    assert ratio is None, "some draw has only rows that the other has wrong"


def test_rows_are_paired_so_that_what_both_have_wrong_says_nothing() -> None:
    generator = np.random.default_rng(0)
    other = (generator.random(400) < 0.7).astype(np.float64)
    one = other.copy()
    one[np.flatnonzero(other == 0)[:4]] = 1.0  # four rows more
    difference, ratio = compare(one, other, bootstrap())
    assert difference.value == pytest.approx(0.01)
    assert difference.upper - difference.lower < 0.03, "two such intervals side by side would be 0.09 wide each"
    assert ratio is not None
    assert ratio.value == pytest.approx(one.mean() / other.mean())
    assert compare(other, other, bootstrap())[0].upper == 0


def test_cells_of_other_rows_are_refused() -> None:
    with pytest.raises(RecordError, match="different rows"):
        compare(np.ones(3), np.ones(4), bootstrap())
