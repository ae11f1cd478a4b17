"""The record of a training: its curves and its best epoch, without wall times."""

from collections.abc import Sequence

from pipestill.choices import Choice
from pipestill.facts import Fact
from pipestill.records import Record


class StepPoint(Record):
    """One point of the loss curve: the mean objective over the optimiser steps since the point before."""

    step: int
    loss: float
    learning_rate: float


class EpochScores(Record):
    """The model after one epoch, and after how many optimiser steps; a subclass adds its scores on dev."""

    epoch: int
    step: int


class EpochPoint(EpochScores):
    """The dev split after one epoch; epoch 0 is a fitted head on the frozen base."""

    train_loss: float
    dev_accuracy: float
    dev_macro_f1: float
    dev_nll_nats: float


class TrainingRecord(Record):
    """The curves of one training.

    Attributes:
        model: name of the model.
        num_rows: rows it was trained on.
        num_parameters: parameters of the whole model.
        num_trained_parameters: parameters that had a gradient.
        selection_metric: `accuracy`, `macro_f1` or `nll_nats`, on dev.
        best_epoch: the epoch whose weights were kept, counted from 1; 0 for the fitted head on the frozen base.
        epochs: one point an epoch, and before them epoch 0 where the head was fitted on the frozen base.
        steps: points of the loss curve.
        choices: values chosen for `auto` settings.
        facts: diagnostics of a student's architecture, such as the share of the embeddings' energy that it keeps.
    """

    model: str
    num_rows: int
    num_parameters: int
    num_trained_parameters: int
    selection_metric: str
    best_epoch: int
    epochs: tuple[EpochPoint, ...]
    steps: tuple[StepPoint, ...]
    choices: tuple[Choice, ...]
    facts: tuple[Fact, ...] = ()

    @property
    def best(self) -> EpochPoint:
        """The dev split after the epoch whose weights were kept."""
        return next(point for point in self.epochs if point.epoch == self.best_epoch)

    @property
    def frozen_base(self) -> EpochPoint | None:
        """The dev split with a fitted head on the frozen base, before any weight of it changed; None without one."""
        return self.epochs[0] if self.epochs[0].epoch == 0 else None


def best_epoch(epochs: Sequence[EpochPoint], selection_metric: str) -> int:
    """Choose the epoch to keep: the best on dev; ties go to the lower nll, then to the earlier epoch."""
    sign = 1 if selection_metric == "nll_nats" else -1

    def rank(point: EpochPoint) -> tuple[float, float, int]:
        return sign * getattr(point, f"dev_{selection_metric}"), point.dev_nll_nats, point.epoch

    return min(epochs, key=rank).epoch
