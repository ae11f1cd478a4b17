"""Logging a training to its run: curves, choices and final figures."""

from collections.abc import Sequence
from typing import Protocol

from pipestill.choices import Choice
from pipestill.training.callbacks import Callbacks
from pipestill.training.material import Trained
from pipestill.training.records import EpochPoint


class MetricsLog(Protocol):
    """The part of a stage's run that a training logs to."""

    def log_metrics(self, metrics: dict[str, float], *, step: int | None = None) -> None:
        """Log some metrics, as points of curves when a step is given."""


class TrainingLog(MetricsLog, Protocol):
    """A `MetricsLog` that also takes the settings that a training chose."""

    def log_choices(self, choices: Sequence[Choice]) -> None:
        """Log the values chosen for `auto` settings."""


def log_curves(run: MetricsLog) -> Callbacks[EpochPoint]:
    """Make callbacks that log the curves to a run: `train.*` by optimiser step, `dev.*` at the end of each epoch."""

    def on_step(step: int, loss: float, learning_rate: float) -> None:
        run.log_metrics({"train.loss": loss, "train.learning_rate": learning_rate}, step=step)

    def on_epoch(point: EpochPoint) -> None:
        place = f"epoch {point.epoch}" if point.epoch else "frozen base with a linear head"
        print(
            f"{place}: train loss {point.train_loss:.4f}, dev accuracy {point.dev_accuracy:.4f}, "
            f"dev macro_f1 {point.dev_macro_f1:.4f}, dev nll {point.dev_nll_nats:.4f} nats",
            flush=True,
        )
        metrics = {
            "dev.accuracy": point.dev_accuracy,
            "dev.macro_f1": point.dev_macro_f1,
            "dev.nll_nats": point.dev_nll_nats,
        }
        run.log_metrics(metrics, step=point.step)

    return Callbacks(on_step=on_step, on_epoch=on_epoch)


def log_trained(run: TrainingLog, trained: Trained) -> None:
    """Log the figures of a finished training."""
    record = trained.record
    run.log_choices(record.choices)
    if record.frozen_base is not None:
        run.log_metrics(
            {
                "frozen_base.dev_accuracy": record.frozen_base.dev_accuracy,
                "frozen_base.dev_macro_f1": record.frozen_base.dev_macro_f1,
                "frozen_base.dev_nll_nats": record.frozen_base.dev_nll_nats,
            }
        )
    run.log_metrics(
        {
            "best.epoch": record.best_epoch,
            "best.dev_accuracy": record.best.dev_accuracy,
            "best.dev_macro_f1": record.best.dev_macro_f1,
            "best.dev_nll_nats": record.best.dev_nll_nats,
            "num_parameters": record.num_parameters,
            "num_trained_parameters": record.num_trained_parameters,
            "num_rows": record.num_rows,
            "train_seconds": trained.train_seconds,
            "teacher_seconds": trained.teacher_seconds,
            **{f"architecture.{fact.name}": fact.value for fact in record.facts},
        }
    )
