"""Callbacks of the trainer: the order of rows, scoring the dev split after each epoch, progress."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import save_file
from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipestill.metrics.quality import accuracy, macro_f1, nll_nats
from pipestill.training.records import EpochPoint, best_epoch
from pipestill.training.sampler import LengthBucketedSampler

EPOCH_ENTRY = "dev_accuracy"
"""The key that marks an entry of the trainer's log history as an epoch's rather than a step's."""

Evaluate = Callable[[], dict[str, float]]
"""Function that scores the model on dev; see `dev_scores`."""


class RowOrder(TrainerCallback):
    """Gives each epoch an order of its own, the same after a resume."""

    def __init__(self, sampler: LengthBucketedSampler) -> None:
        self._sampler = sampler

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the sampler's epoch."""
        self._sampler.epoch = int(state.epoch or 0)


class DevSplit(TrainerCallback):
    """Scores the model on dev after each epoch and keeps the weights of the best one.

    The scores go into the trainer's log history, which every checkpoint holds: a resumed run knows them.

    Args:
        folder: folder that keeps the weights of the best epoch.
        model: classifier whose weights are kept, without the projections trained beside it.
        evaluate: function that scores the model on dev.
        selection_metric: measure on dev that chooses the epoch.
        on_epoch: callback that receives each epoch's point.
        start: scores of the model before the first step, as epoch 0; None where its head is random.
        patience: epochs without improvement after which the training stops; None for no early stop.
    """

    def __init__(
        self,
        folder: Path,
        model: torch.nn.Module,
        evaluate: Evaluate,
        selection_metric: str,
        on_epoch: Callable[[EpochPoint], None],
        *,
        start: EpochPoint | None = None,
        patience: int | None = None,
    ) -> None:
        self._folder = folder
        self._model = model
        self._evaluate = evaluate
        self._selection_metric = selection_metric
        self._on_epoch = on_epoch
        self._start = start
        self._patience = patience

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep a head that is fitted already, as epoch 0; a resumed training has this point in its history."""
        if self._start is not None and not epoch_points(state):
            self._keep(state, self._start)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Log the loss at the end of an epoch, so that a resume there loses no point of the curve.

        A checkpoint waits until dev is scored: an earlier one would resume after the epoch, without its scores.
        """
        at_epoch_end = self._at_epoch_end(state)
        control.should_log = control.should_log or at_epoch_end
        control.should_save = control.should_save and not at_epoch_end
        return control

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> TrainerControl:
        """Score dev, keep the weights if they are the best yet, then stop early or save a checkpoint."""
        epoch = round(state.epoch or 0)
        before = epoch_points(state)
        first_step = before[-1].step if before else 0
        losses = [(entry["step"], entry["loss"]) for entry in state.log_history if "loss" in entry]
        loss = _mean_since(losses, first_step)
        best = self._keep(state, EpochPoint(epoch=epoch, step=state.global_step, train_loss=loss, **self._evaluate()))
        if self._patience is not None and epoch - best >= self._patience:
            control.should_training_stop = True
        control.should_save = state.global_step < state.max_steps and not control.should_training_stop
        return control

    def _keep(self, state: TrainerState, point: EpochPoint) -> int:
        """Add a point to the history, and the weights to the folder if it is the best yet; return the best epoch."""
        state.log_history.append(point.model_dump())
        best = best_epoch(epoch_points(state), self._selection_metric)
        if best == point.epoch:
            self._folder.mkdir(parents=True, exist_ok=True)
            state_dict = {name: tensor.detach().clone() for name, tensor in self._model.state_dict().items()}
            save_file(state_dict, best_weights(self._folder, point.epoch))
        self._on_epoch(point)
        return best

    @staticmethod
    def _at_epoch_end(state: TrainerState) -> bool:
        return state.epoch is not None and abs(state.epoch - round(state.epoch)) < 1e-9  # noqa: PLR2004


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


def dev_scores(logits: Float[np.ndarray, "row label"], label_ids: Int[np.ndarray, " row"]) -> dict[str, float]:
    """Score logits of the dev rows: dev_accuracy and dev_macro_f1 (fractions), dev_nll_nats."""
    return {
        "dev_accuracy": accuracy(logits, label_ids),
        "dev_macro_f1": macro_f1(logits, label_ids),
        "dev_nll_nats": nll_nats(logits, label_ids),
    }


def epoch_points(state: TrainerState) -> list[EpochPoint]:
    """List the epochs in a trainer's log history."""
    return [EpochPoint(**entry) for entry in state.log_history if EPOCH_ENTRY in entry]


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
