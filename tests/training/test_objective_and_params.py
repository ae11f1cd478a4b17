"""Objectives and the sections of params.yaml that describe a training."""

from typing import Any

import pytest
import torch

from pipestill.errors import ParamsError
from pipestill.losses._base import LossInputs
from pipestill.params import parse_section
from pipestill.training.objective import objective_sum
from pipestill.training.records import EpochPoint, best_epoch
from pipestill.training.student_params import StudentParams

TRAINING: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 8,
    "accumulation_steps": 1,
    "learning_rate": 1e-3,
    "warmup_fraction": 0.1,
    "schedule": "linear",
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "dropout": 0.1,
    "train_embeddings": True,
    "precision": "float32",
    "selection_metric": "accuracy",
    "checkpoint_steps": 10,
}
STUDENT: dict[str, Any] = {
    "seed": 1,
    "architecture": {"kind": "bert_layers", "layers": [0, 2]},
    "init": "models/teacher",
    "rows": "data/transfer",
    "targets": "data/logits",
    "max_length": 24,
    "objective": {
        "hard_weight": 0.5,
        "hard_loss": {"kind": "cross_entropy"},
        "soft_weight": 2.0,
        "soft_loss": {"kind": "soft_target_kl", "temperature": 2.0},
    },
    "training": TRAINING,
}


def student(**changes: Any) -> StudentParams:
    """A student's section with dotted changes."""
    section = {**STUDENT, "objective": {**STUDENT["objective"]}, "training": {**TRAINING}}
    for key, value in changes.items():
        target, _, last = key.rpartition("__")
        (section[target] if target else section)[last] = value
    parsed: StudentParams = parse_section({"s": section}, "s", StudentParams)
    return parsed


def test_an_objective_is_the_weighted_sum_of_its_losses() -> None:
    inputs = LossInputs(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([1]))
    objective = student().objective
    hard = objective.hard_loss.per_row(inputs).sum()
    soft = objective.soft_loss.per_row(inputs).sum()
    assert objective_sum(objective.terms(), inputs).item() == pytest.approx((0.5 * hard + 2.0 * soft).item())


@pytest.mark.parametrize(("hard_weight", "soft_weight"), [(0.0, 1.0), (1.0, 0.5)])
def test_a_loss_of_weight_zero_is_left_out(hard_weight: float, soft_weight: float) -> None:
    params = student(objective__hard_weight=hard_weight, objective__soft_weight=soft_weight)
    assert [weight for weight, _ in params.objective.terms()] == [w for w in (hard_weight, soft_weight) if w]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective__hard_weight": 0.0, "objective__soft_weight": 0.0}, "nothing would be learned"),
        ({"targets": "data/prepared/train.parquet"}, "targets must be data/logits or models/teacher"),
        ({"objective__soft_weight": 0.0}, "targets must be data/prepared/train.parquet"),
        (
            {"objective__soft_weight": 0.0, "targets": "data/prepared/train.parquet"},
            "rows must be data/prepared/train.parquet",
        ),
        ({"training__accumulation_steps": 3}, "must divide batch_size"),
        ({"training__checkpoint_steps": 15}, "multiple of 10"),
        ({"training__learning_rate": "5e-5"}, r"training.learning_rate \(found '5e-5'\)"),
        ({"training__epochs": 0}, r"training.epochs \(found 0\).*greater than or equal to 1"),
        ({"training__epochs": 1.5}, r"training.epochs \(found 1.5\)"),
        ({"architecture": {"kind": "bert_layer"}}, r"architecture.*bert_layers"),
        ({"temperature": 2.0}, r"s.temperature \(found 2.0\): no such key; allowed are architecture"),
        ({"init": "models/other"}, r"init \(found 'models/other'\).*models/teacher"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused_with_key_value_and_what_is_allowed(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamsError, match=message):
        student(**changes)


def test_all_mistakes_of_a_section_are_told_at_once() -> None:
    with pytest.raises(ParamsError, match=r"(?s)3 value\(s\) refused.*seed.*epochs.*dropout") as error:
        student(training__epochs=0, training__dropout=2.0, seed=-1)
    assert "next:" in str(error.value)


def point(epoch: int, accuracy: float, nll: float) -> EpochPoint:
    return EpochPoint(
        epoch=epoch, step=epoch, train_loss=0.0, dev_accuracy=accuracy, dev_macro_f1=1 - accuracy, dev_nll_nats=nll
    )


@pytest.mark.parametrize(
    ("points", "metric", "best"),
    [
        ([(0.8, 0.5), (0.9, 0.6), (0.7, 0.1)], "accuracy", 2),
        ([(0.8, 0.5), (0.9, 0.6), (0.7, 0.1)], "macro_f1", 3),
        ([(0.8, 0.5), (0.9, 0.6), (0.7, 0.1)], "nll_nats", 3),
        ([(0.8, 0.1), (0.9, 0.1)], "nll_nats", 1),
        ([(0.9, 0.5), (0.9, 0.4)], "accuracy", 2),
        ([(0.9, 0.5), (0.9, 0.5)], "accuracy", 1),
    ],
)
def test_the_best_epoch_is_chosen_on_dev_then_by_nll_then_the_earliest(
    points: list[tuple[float, float]], metric: str, best: int
) -> None:
    assert best_epoch([point(i + 1, *values) for i, values in enumerate(points)], metric) == best
