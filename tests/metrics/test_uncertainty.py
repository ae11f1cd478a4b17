import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipestill.metrics.calibration import confidences, ece
from pipestill.metrics.quality import macro_f1
from pipestill.metrics.uncertainty import bootstrap, difference_of, ece_of, macro_f1_of, mean_of, ratio_of
from pipestill.tasks import CLASSES

SETTINGS = {"replicates": 400, "seed": 1, "confidence": 0.95}


def test_the_interval_of_a_share_is_about_that_of_the_normal_approximation() -> None:
    right = np.array([1] * 800 + [0] * 200)
    estimate = bootstrap({"accuracy": mean_of(right)}, 1000, replicates=4000, seed=0, confidence=0.95)["accuracy"]
    half = 1.96 * np.sqrt(0.8 * 0.2 / 1000)  # 0.0248
    assert estimate.value == 0.8
    assert estimate.lower == pytest.approx(0.8 - half, abs=0.002)
    assert estimate.upper == pytest.approx(0.8 + half, abs=0.002)


def test_equal_models_have_a_paired_difference_and_retention_without_width() -> None:
    right = np.random.default_rng(0).integers(0, 2, 100)
    estimates = bootstrap(
        {
            "difference": difference_of(mean_of(right), mean_of(right)),
            "retention": ratio_of(mean_of(right), mean_of(right)),
        },
        100,
        **SETTINGS,
    )
    assert estimates["difference"].model_dump() == {"value": 0, "lower": 0, "upper": 0}
    assert estimates["retention"].model_dump() == {"value": 1, "lower": 1, "upper": 1}


def test_the_paired_interval_is_narrower_than_that_of_unrelated_errors() -> None:
    teacher = np.array([1] * 800 + [0] * 200)
    similar = teacher.copy()
    similar[:20] = 0
    unrelated = np.random.default_rng(0).permutation(similar)
    width = {}
    for name, student in (("similar", similar), ("unrelated", unrelated)):
        estimate = bootstrap({"r": ratio_of(mean_of(student), mean_of(teacher))}, 1000, **SETTINGS)["r"]
        assert estimate.value == pytest.approx(0.975)
        width[name] = estimate.upper - estimate.lower
    assert width["similar"] < width["unrelated"] / 3


def test_retention_by_hand() -> None:
    student, teacher = np.array([1, 1, 0, 0]), np.array([1, 1, 1, 0])
    assert ratio_of(mean_of(student), mean_of(teacher))(np.arange(4)[None])[0] == pytest.approx(2 / 3)


def test_retention_is_undefined_where_a_replicate_leaves_the_teacher_nothing_right() -> None:
    teacher = np.array([1, 0, 0])
    assert bootstrap({"r": ratio_of(mean_of(teacher), mean_of(teacher))}, 3, **SETTINGS)["r"] is None


def test_one_row_gives_an_interval_of_one_point() -> None:
    estimate = bootstrap({"accuracy": mean_of([1.0])}, 1, **SETTINGS)["accuracy"]
    assert (estimate.value, estimate.lower, estimate.upper) == (1, 1, 1)


def test_memory_is_bounded_without_changing_the_result() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=37)
    whole = bootstrap({"mean": mean_of(values)}, 37, **SETTINGS)
    pieces = bootstrap({"mean": mean_of(values)}, 37, **SETTINGS, max_cells=100)
    one_by_one = bootstrap({"mean": mean_of(values)}, 37, **SETTINGS, max_cells=1)
    assert whole == pieces == one_by_one


def test_another_seed_draws_other_rows() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first = bootstrap({"mean": mean_of(values)}, 50, replicates=200, seed=1, confidence=0.9)["mean"]
    second = bootstrap({"mean": mean_of(values)}, 50, replicates=200, seed=2, confidence=0.9)["mean"]
    assert first.value == second.value
    assert first.lower != second.lower


@given(st.integers(2, 150), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_resampled_statistic_equals_the_metric_of_the_rows_drawn(num_labels: int, num_rows: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits, label_ids = generator.normal(size=(num_rows, num_labels)), generator.integers(0, num_labels, num_rows)
    predicted = CLASSES.decide(logits)
    rows = generator.integers(0, num_rows, size=(5, num_rows))
    f1 = macro_f1_of(predicted, label_ids, num_labels)(rows)
    calibration = ece_of(confidences(logits), predicted == label_ids, 10)(rows)
    for replicate, drawn in enumerate(rows):
        assert f1[replicate] == pytest.approx(macro_f1(logits[drawn], label_ids[drawn]))
        assert calibration[replicate] == pytest.approx(ece(logits[drawn], label_ids[drawn], 10))


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.floats(0.6, 0.99))
@settings(max_examples=30, deadline=None)
def test_an_interval_is_ordered_and_stays_in_the_range_of_the_rows(right: list[bool], confidence: float) -> None:
    estimate = bootstrap({"a": mean_of(right)}, len(right), replicates=100, seed=0, confidence=confidence)["a"]
    assert 0 <= estimate.lower <= estimate.upper <= 1
