"""Time limits: an epoch's duration, estimated from a few timed steps, and the passes that fit into `max_minutes`."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pipestill.choices import Choice
from pipestill.precision import Precision
from pipestill.records import Record, read_record, write_json
from pipestill.teacher import autocast, fastest_device
from pipestill.text.batching import length_sorted_batches
from pipestill.training.recipe import Recipe
from pipestill.training.signals import Batch

PLACES = (0.125, 0.375, 0.625, 0.875)
"""The batches that are timed: the middles of four quarters of all batches, sorted by length."""

FORWARD_SHARE = 1 / 3
"""Share of a step's time that its forward pass takes, for estimates of the scoring of dev."""


class Plan(Record):
    """The passes over the rows that a training makes.

    Attributes:
        epochs: number of passes over the rows.
        num_rows: rows of a pass, the first of the table: fewer than all where less than one pass fits into the limit.
        choice: number of epochs with the reason for it, where it was `auto`.
    """

    epochs: int
    num_rows: int
    choice: Choice | None


@dataclass(frozen=True)
class Steps:
    """The work to time: one optimiser step.

    Attributes:
        model: module whose parameters are trained.
        loss: function that runs the model on a batch and returns the loss, summed over rows.
        collate: function that makes a batch of rows with given numbers.
        precision: arithmetic of matrix products.
    """

    model: nn.Module
    loss: Callable[[Batch], Tensor]
    collate: Callable[[Sequence[int]], Batch]
    precision: Precision


def seconds_per_epoch(steps: Steps, lengths: Sequence[int], batch_size: int) -> float:
    """Time forward, backward and optimiser step on batches of typical lengths; no weight changes.

    Args:
        steps: work to time.
        lengths: tokens of each row.
        batch_size: rows of an optimiser step.

    Returns:
        Seconds of a pass over all rows, without the scoring of dev.
    """
    batches = length_sorted_batches(lengths, batch_size)
    picked = [batches[int(place * len(batches))] for place in PLACES]
    device = fastest_device()
    was_training, place = steps.model.training, next(steps.model.parameters()).device
    steps.model.to(device).train()
    # A learning rate of 0 leaves every weight as it is, to the bit.
    optimiser = torch.optim.AdamW([p for p in steps.model.parameters() if p.requires_grad], lr=0.0, fused=True)
    seconds = []
    with torch.random.fork_rng():  # so that the training's dropout masks do not depend on this measurement
        for batch in (picked[-1], *picked):  # the first one warms up and is not counted
            start = time.perf_counter()
            with autocast(steps.precision, device):
                loss = steps.loss({name: tensor.to(device) for name, tensor in steps.collate(batch).items()})
            torch.autograd.backward(loss)
            optimiser.step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            optimiser.zero_grad()
            seconds.append(time.perf_counter() - start)
    steps.model.to(place).train(was_training)  # its callers go on to run it on CPU tensors
    return sum(seconds[1:]) / len(PLACES) * len(batches)


def plan_epochs(
    name: str,
    recipe: Recipe,
    steps: Steps,
    lengths: Sequence[int],
    *,
    num_dev_rows: int,
    max_minutes: float,
    file: Path,
) -> Plan:
    """Time a few steps, fit the passes into the limit, and print how long the training will take.

    Args:
        name: name of the model in messages.
        recipe: settings whose passes are planned.
        steps: work to time.
        lengths: tokens of each row.
        num_dev_rows: rows that are scored after each pass.
        max_minutes: time limit; 0 for no limit.
        file: file that keeps the plan, so that a killed training resumes with the same plan.
    """
    epochs, batch_size = recipe.params.epochs, recipe.params.batch_size
    if file.is_file():
        return read_record(file, Plan)
    seconds = seconds_per_epoch(steps, lengths, batch_size // recipe.params.accumulation_steps)
    seconds *= 1 + FORWARD_SHARE * num_dev_rows / len(lengths)
    chosen = next((choice for choice in recipe.choices if choice.setting == "epochs"), None)
    plan, warning = fit_limit(epochs, chosen, num_rows=len(lengths), epoch_seconds=seconds, max_minutes=max_minutes)
    if warning:
        print(f"{name}: {warning}", flush=True)
    minutes = plan.epochs * seconds * plan.num_rows / len(lengths) / 60
    num_steps = math.ceil(plan.num_rows / batch_size)
    print(f"{name}: {in_epochs(plan.epochs)} of {num_steps:,} steps, about {in_minutes(minutes)}", flush=True)
    write_json(file, plan)
    return plan


def in_minutes(minutes: float) -> str:
    """Format a duration: `40 s`, `3.5 min`, `25 min`."""
    if minutes < 1:
        return f"{max(1, round(60 * minutes))} s"
    return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min"  # noqa: PLR2004


def fit_limit(
    epochs: int, chosen: Choice | None, *, num_rows: int, epoch_seconds: float, max_minutes: float
) -> tuple[Plan, str | None]:
    """Fit the passes into a time limit, where their number is `auto`.

    Args:
        epochs: passes that the recipe asks for.
        chosen: the recipe's choice with its reason; None where params.yaml sets the number.
        num_rows: rows of a whole pass.
        epoch_seconds: duration of one pass.
        max_minutes: time limit; 0 for no limit.

    Returns:
        The plan, and a warning where the limit reduces the passes or is exceeded.
    """
    whole = Plan(epochs=epochs, num_rows=num_rows, choice=chosen)
    minutes = epochs * epoch_seconds / 60
    if not max_minutes or minutes <= max_minutes:
        return whole, None
    over = f"{in_epochs(epochs)} would take about {in_minutes(minutes)}, more than max_minutes {max_minutes:g}"
    if chosen is None:
        return whole, f"{over}; `epochs` is set in params.yaml, so the limit is exceeded"
    fitting = int(max_minutes * 60 / epoch_seconds)
    part = num_rows if fitting else max(1, int(num_rows * max_minutes * 60 / epoch_seconds))
    allowed = in_epochs(fitting) if fitting else f"1 epoch over {part:,} of {num_rows:,} rows"
    reason = f"max_minutes allows {allowed}; the data asks for {epochs}"
    choice = chosen.model_copy(update={"used": str(max(fitting, 1)), "reason": reason})
    plan = Plan(epochs=max(fitting, 1), num_rows=part, choice=choice)
    return plan, f"{over}; {allowed} instead, which may cost quality"


def in_epochs(epochs: int) -> str:
    """Format a number of epochs: `1 epoch`, `5 epochs`."""
    return f"{epochs} epoch" if epochs == 1 else f"{epochs} epochs"
