import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pipestill.errors import DataError
from pipestill.metrics.quality import accuracy, f1_per_label, log_softmax, macro_f1, nll_nats
from pipestill.tasks import CLASSES


def one_hot(predicted: list[int], num_labels: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.eye(num_labels, dtype=np.float32)[np.asarray(predicted)]


@st.composite
def scored_rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    num_labels = draw(st.integers(2, 300))
    num_rows = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    return generator.normal(size=(num_rows, num_labels)), generator.integers(0, num_labels, num_rows)


@pytest.mark.parametrize(
    ("predicted", "label_ids", "expected"),
    [
        ([0, 1, 1, 0], [0, 1, 0, 0], 3 / 4),
        ([0], [0], 1.0),
        ([1], [0], 0.0),
        ([2, 2, 2], [0, 1, 2], 1 / 3),
    ],
)
def test_accuracy_is_the_share_of_right_rows(predicted: list[int], label_ids: list[int], expected: float) -> None:
    assert accuracy(one_hot(predicted, 3), np.array(label_ids)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "label_ids", "expected"),
    [
        # label 0: TP 2, FN 1 -> 4/5; label 1: TP 1, FP 1 -> 2/3
        ([0, 1, 1, 0], [0, 1, 0, 0], (4 / 5 + 2 / 3) / 2),
        # label 2 is absent and never predicted: it does not count
        ([0, 1], [0, 1], 1.0),
        # label 2 is absent but predicted: it counts as 0; label 1: TP 0, FN 1 -> 0
        ([0, 2], [0, 1], (1 + 0 + 0) / 3),
        ([1], [0], 0.0),
        ([0], [0], 1.0),
    ],
)
def test_macro_f1_is_the_mean_over_labels_present_or_predicted(
    predicted: list[int], label_ids: list[int], expected: float
) -> None:
    assert macro_f1(one_hot(predicted, 3), np.array(label_ids)) == pytest.approx(expected)


def test_f1_of_a_label_neither_present_nor_predicted_is_not_a_number() -> None:
    per_label = f1_per_label(one_hot([0, 1], 3), np.array([0, 1]))
    assert per_label[:2].tolist() == [1, 1]
    assert math.isnan(per_label[2])


@given(scored_rows())
@settings(max_examples=40, deadline=None)
def test_macro_f1_is_that_of_scikit_learn(rows: tuple[np.ndarray, np.ndarray]) -> None:
    logits, label_ids = rows
    assert macro_f1(logits, label_ids) == pytest.approx(f1_score(label_ids, logits.argmax(axis=1), average="macro"))


@pytest.mark.parametrize("num_labels", [2, 8, 52, 300])
def test_nll_of_constant_logits_is_the_log_of_the_number_of_labels(num_labels: int) -> None:
    logits = np.full((3, num_labels), 7.0)
    assert nll_nats(logits, np.array([0, 1, 1])) == pytest.approx(math.log(num_labels))


def test_nll_by_hand() -> None:
    # row 1: p = 3/4, row 2: p = 1/4
    logits = np.log(np.array([[3.0, 1.0], [3.0, 1.0]]))
    assert nll_nats(logits, np.array([0, 1])) == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_large_logits_do_not_overflow() -> None:
    assert nll_nats(np.array([[1e4, 0.0]], dtype=np.float32), np.array([1])) == pytest.approx(1e4)


def test_a_tie_goes_to_the_lowest_label_id() -> None:
    assert CLASSES.decide(np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0]])).tolist() == [0, 1]


@given(scored_rows())
@settings(max_examples=40, deadline=None)
def test_probabilities_sum_to_one_and_do_not_move_with_a_constant(rows: tuple[np.ndarray, np.ndarray]) -> None:
    logits, _ = rows
    assert np.exp(log_softmax(logits)).sum(axis=1) == pytest.approx(1)
    assert log_softmax(logits + 5) == pytest.approx(log_softmax(logits), abs=1e-9)


@given(scored_rows())
@settings(max_examples=40, deadline=None)
def test_quality_does_not_depend_on_the_order_of_rows_and_stays_in_range(rows: tuple[np.ndarray, np.ndarray]) -> None:
    logits, label_ids = rows
    order = np.random.default_rng(0).permutation(len(label_ids))
    for metric in (accuracy, macro_f1, nll_nats):
        assert metric(logits[order], label_ids[order]) == pytest.approx(metric(logits, label_ids))
    assert 0 <= macro_f1(logits, label_ids) <= 1
    assert nll_nats(logits, label_ids) >= 0


@pytest.mark.parametrize(
    ("logits", "label_ids", "message"),
    [
        (np.empty((0, 2)), np.empty(0, dtype=int), "no rows to score"),
        (np.array([[np.nan, 0.0]]), np.array([0]), "not finite"),
        (np.array([[np.inf, 0.0]]), np.array([0]), "not finite"),
        (np.zeros((1, 2)), np.array([2]), "outside the logits"),
        (np.zeros((1, 2)), np.array([-1]), "outside the logits"),
    ],
)
def test_arrays_that_would_give_a_meaningless_number_are_refused(
    logits: np.ndarray, label_ids: np.ndarray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        accuracy(logits, label_ids)


def test_label_ids_of_other_rows_are_refused() -> None:
    # jaxtyping refuses them in tests, before the check that stands in for it elsewhere
    with pytest.raises((DataError, TypeError)):
        accuracy(np.zeros((2, 2)), np.array([0]))
