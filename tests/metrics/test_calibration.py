import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipestill.metrics.calibration import bin_ids, confidences, ece, reliability


def two_label_logits(confidence: list[float]) -> np.ndarray:
    """Logits that predict label 0 with the given confidences."""
    share = np.asarray(confidence, dtype=np.float64)
    return np.log(np.stack([share, 1 - share], axis=1))


def test_ece_by_hand() -> None:
    # bin (0.5, 0.6]: 0.55 and 0.59, one right: |0.5 - 0.57| = 0.07; bin (0.9, 1.0]: 0.95 and 0.97, both right: 0.04
    logits = two_label_logits([0.55, 0.59, 0.95, 0.97])
    assert ece(logits, np.array([0, 1, 0, 0]), 10) == pytest.approx(2 / 4 * 0.07 + 2 / 4 * 0.04)


def test_ece_is_zero_when_confidence_equals_accuracy_in_every_bin() -> None:
    assert ece(two_label_logits([0.75] * 4), np.array([0, 0, 0, 1]), 10) == pytest.approx(0)


def test_ece_of_a_sure_and_always_wrong_model_is_one() -> None:
    assert ece(np.array([[200.0, 0.0]] * 3), np.array([1, 1, 1]), 15) == pytest.approx(1)


def test_the_reliability_curve_lists_the_bins_that_hold_rows() -> None:
    low, high = reliability(two_label_logits([0.55, 0.59, 0.95]), np.array([0, 1, 0]), 10)
    assert (low.lower, low.upper, low.num_rows) == (0.5, 0.6, 2)
    assert (low.mean_confidence, low.right_fraction) == (pytest.approx(0.57), 0.5)
    assert (high.num_rows, high.right_fraction) == (1, 1.0)


@pytest.mark.parametrize(("confidence", "expected"), [(0.0, 0), (0.1, 0), (0.11, 1), (0.5, 4), (1.0, 9)])
def test_a_bin_holds_its_upper_edge(confidence: float, expected: int) -> None:
    assert bin_ids(np.array([confidence]), 10).tolist() == [expected]


@pytest.mark.parametrize("num_labels", [2, 77, 400])
def test_confidence_lies_between_chance_and_one(num_labels: int) -> None:
    logits = np.random.default_rng(0).normal(size=(50, num_labels), scale=30)
    assert (confidences(logits) >= 1 / num_labels).all()
    assert (confidences(logits) <= 1).all()


@given(st.integers(2, 100), st.integers(1, 60), st.integers(2, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_ece_is_a_fraction_at_least_the_gap_of_the_means(
    num_labels: int, num_rows: int, num_bins: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    logits, label_ids = generator.normal(size=(num_rows, num_labels)), generator.integers(0, num_labels, num_rows)
    error = ece(logits, label_ids, num_bins)
    gap = abs((logits.argmax(axis=1) == label_ids).mean() - confidences(logits).mean())
    assert gap - 1e-12 <= error <= 1
    assert sum(part.num_rows for part in reliability(logits, label_ids, num_bins)) == num_rows
