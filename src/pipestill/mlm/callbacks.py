"""The callback that scores dev after each epoch of a masked language model's training."""

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipestill.mlm.records import MlmEpoch, MlmScores

EPOCH_ENTRY = "dev"
"""The key that marks an entry of the trainer's log history as an epoch's rather than a step's."""
_WHOLE = 1e-9


class MlmDev(TrainerCallback):
    """Scores the model on dev after each epoch; the scores go into the log history, which every checkpoint holds.

    Args:
        score: function that scores the present model.
        on_epoch: callback that receives each epoch's point.
    """

    def __init__(self, score: Callable[[], MlmScores], on_epoch: Callable[[MlmEpoch], None]) -> None:
        self._score = score
        self._on_epoch = on_epoch

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Log the loss at the end of an epoch, so that a resume there loses no point of the curve."""
        at_end = state.epoch is not None and abs(state.epoch - round(state.epoch)) < _WHOLE
        control.should_log = control.should_log or at_end
        return control

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Score dev, and request a checkpoint unless training has finished."""
        point = MlmEpoch(epoch=round(state.epoch or 0), step=state.global_step, dev=self._score())
        state.log_history.append(point.model_dump())
        self._on_epoch(point)
        control.should_save = state.global_step < state.max_steps
        return control


def epochs_in(state: TrainerState) -> tuple[MlmEpoch, ...]:
    """List the epochs in a trainer's log history."""
    return tuple(MlmEpoch(**entry) for entry in state.log_history if EPOCH_ENTRY in entry)
