"""The record of a masked language model's training, without wall times."""

from pipestill.choices import Choice
from pipestill.diagnostics import Diagnostic
from pipestill.records import Record
from pipestill.training.records import EpochScores, StepPoint


class MlmScores(Record):
    """A model at the masked positions of the dev rows.

    Attributes:
        mlm_nll_nats: mean of -log probability of the original token.
        masked_accuracy_fraction: share of positions at which that token is the most probable one.
        num_masked_tokens: number of masked positions.
    """

    mlm_nll_nats: float
    masked_accuracy_fraction: float
    num_masked_tokens: int


class MlmEpoch(EpochScores):
    """Dev after one epoch."""

    dev: MlmScores


class MlmTrainingRecord(Record):
    """The curves of one training; the weights of its last epoch are kept.

    Attributes:
        model: name of the model.
        num_rows: rows it was trained on.
        num_masked_tokens: masked positions predicted in one epoch.
        num_parameters: parameters of the whole model, the tied table counted once.
        num_trained_parameters: parameters that had a gradient.
        before: dev scores before the first step.
        epochs: dev scores after each epoch.
        steps: points of the loss curve.
        choices: values chosen for `auto` settings.
        diagnostics: diagnostics of a student's architecture.
    """

    model: str
    num_rows: int
    num_masked_tokens: int
    num_parameters: int
    num_trained_parameters: int
    before: MlmScores
    epochs: tuple[MlmEpoch, ...]
    steps: tuple[StepPoint, ...]
    choices: tuple[Choice, ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def after(self) -> MlmScores:
        """Dev scores after the last epoch."""
        return self.epochs[-1].dev
