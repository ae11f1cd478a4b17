"""The record of a training: its curves and its best epoch, without wall times."""

from collections.abc import Sequence

from pipestill.choices import Choice
from pipestill.diagnostics import Diagnostic
from pipestill.records import Record
from pipestill.tasks import Measure


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
    """The dev split after one epoch, `dev` by measure; epoch 0 is a fitted head on the frozen base."""

    train_loss: float
    dev: dict[str, float]


class TrainingRecord(Record):
    """The curves of one training.

    Attributes:
        model: name of the model.
        num_rows: rows it was trained on.
        num_parameters: parameters of the whole model.
        num_trained_parameters: parameters that had a gradient.
        selection_metric: name of the measure on dev that chose the epoch.
        best_epoch: the epoch whose weights were kept, counted from 1; 0 for the fitted head on the frozen base.
        epochs: one point an epoch, and before them epoch 0 where the head was fitted on the frozen base.
        steps: points of the loss curve.
        choices: values chosen for `auto` settings.
        diagnostics: diagnostics of a student's architecture, such as the share of the embeddings' energy that it keeps.
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
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def best(self) -> EpochPoint:
        """The dev split after the epoch whose weights were kept."""
        return next(point for point in self.epochs if point.epoch == self.best_epoch)

    @property
    def frozen_base(self) -> EpochPoint | None:
        """The dev split with a fitted head on the frozen base, before any weight of it changed; None without one."""
        return self.epochs[0] if self.epochs[0].epoch == 0 else None


def best_epoch(epochs: Sequence[EpochPoint], selection: Measure, tie_breaker: Measure) -> int:
    """Choose the epoch to keep: the best on dev by one measure, then by another, then the earlier epoch."""

    def rank(point: EpochPoint) -> tuple[float, float, int]:
        first, second = (
            -point.dev[measure.name] if measure.higher_is_better else point.dev[measure.name]
            for measure in (selection, tie_breaker)
        )
        return first, second, point.epoch

    return min(epochs, key=rank).epoch
