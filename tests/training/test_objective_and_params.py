"""Objectives and the sections of params.yaml that describe a training."""

from typing import Any

import pytest
import torch

from pipestill.errors import ParamsError
from pipestill.losses._base import LossInputs, per_row
from pipestill.losses.soft_target_kl import soft_target_kl
from pipestill.params import parse_section
from pipestill.tasks import CLASSES
from pipestill.tasks.classes import NLL
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
LINEAR = {"kind": "linear", "start": 1.0, "end": 3.0}
STUDENT: dict[str, Any] = {
    "seed": 1,
    "architecture": {"kind": "bert_layers", "layers": [0, 2]},
    "vocabulary": {"kind": "full"},
    "embedding": {"kind": "full"},
    "init": "models/teacher",
    "rows": "data/transfer",
    "targets": "data/logits",
    "max_length": 24,
    "objective": [
        {"weight": 0.5, "loss": {"kind": "cross_entropy"}},
        {"weight": 2.0, "loss": {"kind": "soft_target_kl", "temperature": 2.0}},
    ],
    "training": TRAINING,
}


def weighted(hard_weight: Any, soft_weight: Any) -> list[dict[str, Any]]:
    """The objective of `STUDENT` with other weights."""
    return [
        term | {"weight": weight} for term, weight in zip(STUDENT["objective"], (hard_weight, soft_weight), strict=True)
    ]


def student(**changes: Any) -> StudentParams:
    """A student's section with dotted changes."""
    section = {**STUDENT, "training": {**TRAINING}}
    for key, value in changes.items():
        target, _, last = key.rpartition("__")
        (section[target] if target else section)[last] = value
    parsed: StudentParams = parse_section({"s": section}, "s", StudentParams)
    return parsed


def test_an_objective_is_the_weighted_sum_of_its_losses() -> None:
    inputs = LossInputs(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([1]))
    hard, soft = (per_row(term.loss, inputs).sum().item() for term in student().terms)
    assert objective_sum(student().terms, [inputs] * 2).item() == pytest.approx(0.5 * hard + 2.0 * soft)


@pytest.mark.parametrize(("hard_weight", "soft_weight"), [(0.0, 1.0), (1.0, 0.5)])
def test_a_loss_of_weight_zero_is_left_out(hard_weight: float, soft_weight: float) -> None:
    params = student(objective=weighted(hard_weight, soft_weight))
    assert [term.weight for term in params.terms] == [w for w in (hard_weight, soft_weight) if w]


def test_a_weight_and_a_temperature_follow_their_schedules() -> None:
    loss = {"kind": "soft_target_kl", "temperature": {"kind": "linear", "start": 4.0, "end": 2.0}}
    objective = student(objective=[{"weight": LINEAR, "loss": loss}]).terms
    student_logits, teacher_logits = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    for progress, weight, temperature in ((0.0, 1.0, 4.0), (0.5, 2.0, 3.0), (1.0, 3.0, 2.0)):
        inputs = LossInputs(student_logits, teacher_logits, torch.tensor([1]), progress)
        expected = weight * soft_target_kl(student_logits, teacher_logits, temperature).item()
        assert objective_sum(objective, [inputs]).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": weighted(0.0, 0.0)}, "needs a loss with a weight above 0"),
        ({"objective": []}, "needs a loss with a weight above 0"),
        ({"objective": weighted(0.5, -2.0)}, r"objective.1.weight \(found -2.0\).*greater than or equal to 0"),
        ({"objective": weighted(0.5, "1")}, r"objective.1.weight \(found '1'\).*number"),
        ({"objective": weighted(0.5, {**LINEAR, "end": -1.0})}, r"objective.1.weight: .*equal to 0"),
        ({"objective": weighted(0.5, {**LINEAR, "kind": "step"})}, r"objective.1.weight.*kind \(found 'step'\)"),
        ({"objective": weighted(0.5, {**LINEAR, "kind": "constant"})}, r"objective.1.weight.*the same number"),
        (
            {"objective": [{"weight": 1.0, "loss": {"kind": "soft_target_kl", "temperature": 0}}]},
            r"temperature \(found",
        ),
        ({"objective": [{"weight": 1.0, "loss": {"kind": "soft_target_kl"}}]}, r"temperature: Field required"),
        ({"objective": {"weight": 1.0}}, r"objective: a list is expected"),
        ({"targets": "data/prepared/train.parquet"}, "targets must be data/logits or models/teacher"),
        ({"objective": weighted(1.0, 0.0)}, "targets must be data/prepared/train.parquet"),
        (
            {"objective": weighted(1.0, 0.0), "targets": "data/prepared/train.parquet"},
            "rows must be data/prepared/train.parquet",
        ),
        (
            {"init": "models/mlm/student", "objective": [{"weight": 1.0, "loss": {"kind": "last_hidden_cosine"}}]},
            "init or targets must be models/teacher",
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
        epoch=epoch, step=epoch, train_loss=0.0, dev={"accuracy": accuracy, "macro_f1": 1 - accuracy, "nll_nats": nll}
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
    assert best_epoch([point(i + 1, *values) for i, values in enumerate(points)], CLASSES.measure(metric), NLL) == best
