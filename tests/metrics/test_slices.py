import numpy as np
import pytest

from pipestill.metrics.slices import length_bounds, quality_by_length
from pipestill.tasks import CLASSES

LOGITS = np.eye(2)[[0, 1, 1, 0]]
LABEL_IDS = np.array([0, 1, 0, 0])
LENGTHS = np.array([5, 10, 20, 90])


def test_slices_hold_their_upper_bound_and_count_every_row() -> None:
    short, middle, long = quality_by_length(CLASSES, LOGITS, LABEL_IDS, LENGTHS, [10, 50])
    assert (short.above_characters, short.up_to_characters, short.num_rows, short.measures["accuracy"]) == (
        None,
        10,
        2,
        1,
    )
    assert (middle.above_characters, middle.up_to_characters, middle.num_rows, middle.measures["accuracy"]) == (
        10,
        50,
        1,
        0,
    )
    assert (long.above_characters, long.up_to_characters, long.num_rows, long.measures["accuracy"]) == (50, None, 1, 1)
    assert short.agreement is None
    assert short.retention is None


def test_a_slice_without_rows_is_left_out() -> None:
    slices = quality_by_length(CLASSES, LOGITS, LABEL_IDS, LENGTHS, [1, 30])
    assert [part.num_rows for part in slices] == [3, 1]


def test_agreement_and_retention_are_against_the_teacher_on_the_slice() -> None:
    teacher = np.eye(2)[[0, 0, 0, 1]]
    short, long = quality_by_length(CLASSES, LOGITS, LABEL_IDS, LENGTHS, [50], teacher)
    assert (short.agreement, short.retention) == (pytest.approx(1 / 3), pytest.approx(1))
    assert (long.agreement, long.retention) == (0, None)  # the teacher has no row right there


def test_quantiles_become_bounds_that_occur() -> None:
    assert length_bounds(np.arange(1, 101), [0.25, 0.5, 0.75]) == (25, 50, 75)


def test_texts_of_one_length_are_one_slice() -> None:
    lengths = np.full(4, 7)
    assert length_bounds(lengths, [0.25, 0.5]) == ()
    assert len(quality_by_length(CLASSES, LOGITS, LABEL_IDS, lengths, ())) == 1
