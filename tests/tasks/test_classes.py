"""The task `classes`: its decisions and probabilities, and their agreement with the tensors that losses use."""

import numpy as np
import pytest
import torch

from pipestill.tasks import CLASSES, TASKS, task_for, tensors
from pipestill.tasks.answers import predictions
from pipestill.tasks.classes import ACCURACY, MACRO_F1

LOGITS = np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 0.0], [-900.0, 0.0, 900.0]], dtype=np.float32)


def test_the_decision_is_the_greatest_logit_and_the_lowest_label_id_on_a_tie() -> None:
    assert CLASSES.decide(LOGITS).tolist() == [1, 0, 2]


def test_probabilities_are_a_softmax_that_does_not_overflow() -> None:
    found = CLASSES.probabilities(LOGITS)
    assert found.sum(axis=1) == pytest.approx([1, 1, 1])
    assert found[0] == pytest.approx(np.exp([1, 3, 2]) / np.exp([1, 3, 2]).sum())
    assert found[2].tolist() == [0, 0, 1]


def test_tensors_decide_and_weigh_as_arrays_do() -> None:
    logits = torch.from_numpy(LOGITS)
    assert tensors.decide(logits).tolist() == CLASSES.decide(LOGITS).tolist()
    assert tensors.probabilities(logits).numpy() == pytest.approx(CLASSES.probabilities(LOGITS), abs=1e-7)
    assert tensors.log_probabilities(logits[:2], 2.0).exp().numpy() == pytest.approx(
        CLASSES.probabilities(LOGITS[:2] / 2), abs=1e-7
    )


def test_predictions_rank_labels_by_probability() -> None:
    first, second, _ = predictions(CLASSES, LOGITS, ("a", "b", "c"), 2)
    assert (first.label, list(first.probabilities)) == ("b", ["b", "c"])
    assert first.score == first.probabilities["b"]
    assert list(second.probabilities) == ["a", "b"], "equal labels stay in label_id order"


@pytest.mark.parametrize(
    ("counts", "chosen"), [((50, 40, 60), ACCURACY), ((500, 40, 60, 0), ACCURACY), ((900, 9, 9), MACRO_F1)]
)
def test_skewed_labels_are_judged_by_macro_f1(counts: tuple[int, ...], chosen: object) -> None:
    measure, reason = CLASSES.choose_selection(np.array(counts))
    assert measure == chosen
    assert "times the median's rows" in reason


def test_the_standard_error_is_that_of_a_share() -> None:
    assert CLASSES.standard_error({"accuracy": 0.8}, 400) == pytest.approx(0.02)


def test_every_name_of_a_measure_is_unique_and_found() -> None:
    for task in TASKS.values():
        assert {measure.name: measure for measure in task.measures} == {
            measure.name: task.measure(measure.name) for measure in task.measures
        }
        assert task.primary == task.headline[0]
        assert {*task.headline, *task.by_epoch, task.tie_breaker} <= {*task.measures}


def test_a_config_without_a_problem_type_is_single_label_and_an_unknown_one_has_no_task() -> None:
    assert task_for(None) == task_for("single_label_classification") == CLASSES
    with pytest.raises(KeyError):
        task_for("regression")
