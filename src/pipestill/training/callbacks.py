"""Callbacks of the trainer: the order of rows, scoring the dev split after each epoch, progress."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from safetensors.torch import save_file
from tqdm import tqdm
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipestill.training.records import EpochScores
from pipestill.training.sampler import LengthBucketedSampler

E = TypeVar("E", bound=EpochScores)
_WHOLE = 1e-9
"""Largest distance of a finished epoch's number from a whole one."""


@dataclass(frozen=True)
class Callbacks(Generic[E]):
    """Functions that receive a training's curves as they grow: step, loss and learning rate; each epoch's scores."""

    on_step: Callable[[int, float, float], None]
    on_epoch: Callable[[E], None]


class EndedEpoch(NamedTuple):
    """An epoch to be scored: its number from 1, the optimiser steps so far, and the mean loss of its steps."""

    epoch: int
    step: int
    train_loss: float


@dataclass(frozen=True)
class DevSplit(Generic[E]):
    """Scoring a model on the dev split after each epoch, and the choice of the epoch to keep.

    Attributes:
        model: model whose weights are kept, without what is trained beside it.
        kind: class of an epoch's scores.
        score: function that scores the model.
        best: function that chooses the epoch whose weights to keep; None keeps the last.
        start: scores of the model before the first step, as epoch 0; None where its head is random.
        patience: epochs without improvement after which the training stops; None for no early stop.
    """

    model: PreTrainedModel
    kind: type[E]
    score: Callable[[EndedEpoch], E]
    best: Callable[[Sequence[E]], int] | None = None
    start: E | None = None
    patience: int | None = None

    def points(self, state: TrainerState) -> list[E]:
        """List the epochs in a trainer's log history, which holds points of the loss curve too."""
        return [self.kind(**entry) for entry in state.log_history if entry.keys() == self.kind.model_fields.keys()]


class RowOrder(TrainerCallback):
    """Gives each epoch an order of its own, the same after a resume."""

    def __init__(self, sampler: LengthBucketedSampler) -> None:
        self._sampler = sampler

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the sampler's epoch."""
        self._sampler.epoch = int(state.epoch or 0)


class EpochEnd(TrainerCallback, Generic[E]):
    """Scores the model on dev after each epoch and keeps the weights of the best one.

    The scores go into the trainer's log history, which every checkpoint holds: a resumed run knows them.

    Args:
        dev: model and its scores.
        folder: folder that keeps the weights of the best epoch.
        on_epoch: callback that receives each epoch's scores.
    """

    def __init__(self, dev: DevSplit[E], folder: Path, on_epoch: Callable[[E], None]) -> None:
        self._dev = dev
        self._folder = folder
        self._on_epoch = on_epoch

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep a head that is fitted already, as epoch 0; a resumed training has this point in its history."""
        if self._dev.start is not None and not self._dev.points(state):
            self._keep(state, self._dev.start)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Log the loss at the end of an epoch, so that a resume there loses no point of the curve.

        A checkpoint waits until dev is scored: an earlier one would resume after the epoch, without its scores.
        """
        at_epoch_end = state.epoch is not None and abs(state.epoch - round(state.epoch)) < _WHOLE
        control.should_log = control.should_log or at_epoch_end
        control.should_save = control.should_save and not at_epoch_end
        return control

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Score dev, keep the weights if they are the best yet, then stop early or save a checkpoint."""
        epoch = round(state.epoch or 0)
        before = self._dev.points(state)
        losses = [(entry["step"], entry["loss"]) for entry in state.log_history if "loss" in entry]
        loss = _mean_since(losses, before[-1].step if before else 0)
        best = self._keep(state, self._dev.score(EndedEpoch(epoch, state.global_step, loss)))
        if self._dev.patience is not None and epoch - best >= self._dev.patience:
            control.should_training_stop = True
        control.should_save = state.global_step < state.max_steps and not control.should_training_stop
        return control

    def _keep(self, state: TrainerState, point: E) -> int:
        """Add a point to the history, and the weights to the folder if it is the best yet; return the best epoch."""
        state.log_history.append(point.model_dump())
        best = self._dev.best(self._dev.points(state)) if self._dev.best else point.epoch
        if self._dev.best and best == point.epoch:
            self._folder.mkdir(parents=True, exist_ok=True)
            state_dict = {name: tensor.detach().clone() for name, tensor in self._dev.model.state_dict().items()}
            save_file(state_dict, best_weights(self._folder, point.epoch))
        self._on_epoch(point)
        return best


class Progress(TrainerCallback):
    """Progress bar on a terminal, occasional lines elsewhere; each point of the loss curve goes to `on_step`.

    Args:
        name: name of the model in training.
        on_step: callback that receives step, loss and learning rate.
    """

    LINES = 20

    def __init__(self, name: str, on_step: Callable[[int, float, float], None]) -> None:
        self._name = name
        self._on_step = on_step
        self._bar: tqdm[Any] | None = None
        self._start = (0, time.monotonic())
        self._next_line = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the bar, or the first line."""
        self._start = (state.global_step, time.monotonic())
        if sys.stderr.isatty():
            self._bar = tqdm(total=state.max_steps, initial=state.global_step, desc=self._name, unit="step")
        elif state.global_step:
            print(f"{self._name}: resumed at step {state.global_step} of {state.max_steps}", flush=True)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Show the latest loss and pass it to `on_step`."""
        entry = state.log_history[-1]
        if "loss" not in entry:
            return
        self._on_step(state.global_step, entry["loss"], entry["learning_rate"])
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{entry['loss']:.4f}")
        elif state.global_step >= self._next_line:
            self._next_line = state.global_step + state.max_steps / self.LINES
            done = state.global_step - self._start[0]
            rate = done / max(time.monotonic() - self._start[1], 1e-9)
            print(
                f"{self._name}: step {state.global_step} of {state.max_steps}, epoch {state.epoch:.2f}, "
                f"loss {entry['loss']:.4f}, {rate:.2f} steps/s",
                flush=True,
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def best_weights(folder: Path, epoch: int) -> Path:
    """Return the path of an epoch's weights, kept if it was the best when it ended."""
    return folder / f"epoch-{epoch}.safetensors"


def _mean_since(losses: list[tuple[int, float]], first_step: int) -> float:
    """Average the loss over the steps after `first_step`, each point weighted by the steps it covers."""
    total, steps, before = 0.0, 0, first_step
    for step, loss in losses:
        if step > first_step:
            total += loss * (step - before)
            steps += step - before
            before = step
    return total / max(steps, 1)
