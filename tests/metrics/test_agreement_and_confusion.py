import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipestill.errors import DataError
from pipestill.metrics.agreement import agreement, logit_difference
from pipestill.metrics.confusion import confusion_matrix
from pipestill.metrics.quality import accuracy
from pipestill.tasks import CLASSES


def test_agreement_is_the_share_of_rows_with_the_same_argmax() -> None:
    assert agreement(
        CLASSES, np.array([[2.0, 1], [0, 1], [5, 4]]), np.array([[9.0, 0], [0, 3], [0, 1]])
    ) == pytest.approx(2 / 3)


def test_equal_logits_do_not_differ() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3))
    difference = logit_difference(CLASSES, logits, logits)
    assert difference.max_abs_logit_difference == 0
    assert difference.mean_abs_logit_difference == 0
    assert difference.agreement == 1


def test_logit_difference_by_hand() -> None:
    difference = logit_difference(CLASSES, np.array([[1.0, 0.0]]), np.array([[0.0, 0.5]]))
    assert difference.max_abs_logit_difference == 1
    assert difference.mean_abs_logit_difference == 0.75
    assert difference.agreement == 0


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        agreement(CLASSES, np.array([[0.0, 1.0]]), np.array([[0.0, np.nan]]))


def test_confusion_counts_hard_labels_by_row_and_predictions_by_column() -> None:
    logits = np.eye(3)[[0, 1, 1, 2]]
    assert confusion_matrix(logits, np.array([0, 0, 1, 0])).tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]


@given(st.integers(2, 200), st.integers(1, 50), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_diagonal_of_the_confusion_matrix_is_the_accuracy(num_labels: int, num_rows: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits, label_ids = generator.normal(size=(num_rows, num_labels)), generator.integers(0, num_labels, num_rows)
    matrix = confusion_matrix(logits, label_ids)
    assert matrix.sum() == num_rows
    assert matrix.trace() / num_rows == pytest.approx(accuracy(logits, label_ids))
    assert matrix.sum(axis=1).tolist() == np.bincount(label_ids, minlength=num_labels).tolist()
