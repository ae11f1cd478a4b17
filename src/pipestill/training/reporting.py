"""Logging a training to its run: curves, choices and final figures."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pipestill.choices import Choice
from pipestill.training.callbacks import Callbacks
from pipestill.training.inputs import Trained
from pipestill.training.records import EpochPoint


class MetricsLog(Protocol):
    """The part of a stage's run that a training logs to."""

    def log_metrics(self, metrics: dict[str, float], *, step: int | None = None) -> None:
        """Log some metrics, as points of curves when a step is given."""


class TrainingLog(MetricsLog, Protocol):
    """A `MetricsLog` that also takes the settings that a training chose."""

    def log_choices(self, choices: Sequence[Choice]) -> None:
        """Log the values chosen for `auto` settings."""


def log_steps(run: MetricsLog, prefix: str) -> Callable[[int, float, float], None]:
    """Make a callback that logs loss and learning rate by optimiser step, as `<prefix>train.*`."""

    def on_step(step: int, loss: float, learning_rate: float) -> None:
        run.log_metrics({f"{prefix}train.loss": loss, f"{prefix}train.learning_rate": learning_rate}, step=step)

    return on_step


def log_curves(run: MetricsLog, prefix: str = "") -> Callbacks[EpochPoint]:
    """Make callbacks that log the curves to a run: `<prefix>train.*` by optimiser step, `<prefix>dev.*` by epoch."""

    def on_epoch(point: EpochPoint) -> None:
        place = f"epoch {point.epoch}" if point.epoch else "frozen base with a linear head"
        print(
            f"{place}: train loss {point.train_loss:.4f}, "
            + ", ".join(f"dev {name} {value:.4f}" for name, value in point.dev.items()),
            flush=True,
        )
        run.log_metrics(_dev_metrics(point, f"{prefix}dev."), step=point.step)

    return Callbacks(on_step=log_steps(run, prefix), on_epoch=on_epoch)


def _dev_metrics(point: EpochPoint, prefix: str) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in point.dev.items()}


def log_trained(run: TrainingLog, trained: Trained) -> None:
    """Log the figures of a finished training."""
    record = trained.record
    run.log_choices(record.choices)
    if record.frozen_base is not None:
        run.log_metrics(_dev_metrics(record.frozen_base, "frozen_base.dev_"))
    run.log_metrics(
        {
            "best.epoch": record.best_epoch,
            **_dev_metrics(record.best, "best.dev_"),
            "num_parameters": record.num_parameters,
            "num_trained_parameters": record.num_trained_parameters,
            "num_rows": record.num_rows,
            "train_seconds": trained.train_seconds,
            "teacher_seconds": trained.teacher_seconds,
            **{f"architecture.{diagnostic.name}": diagnostic.value for diagnostic in record.diagnostics},
        }
    )
