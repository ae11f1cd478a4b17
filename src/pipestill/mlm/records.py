"""What the training of a masked language model says about itself. Nothing in it depends on the clock."""

from pipestill.choices import Choice
from pipestill.facts import Fact
from pipestill.records import Record
from pipestill.training.records import StepPoint


class MlmScores(Record):
    """A model at the masked positions of the dev rows.

    Attributes:
        mlm_nll_nats: mean of -log probability of the token that stood there.
        masked_accuracy_fraction: share of positions at which that token is the most probable one.
        num_masked_tokens: positions.
    """

    mlm_nll_nats: float
    masked_accuracy_fraction: float
    num_masked_tokens: int


class MlmEpoch(Record):
    """Dev after one epoch."""

    epoch: int
    step: int
    dev: MlmScores


class MlmTrainingRecord(Record):
    """The curves of one training; the weights of its last epoch are kept.

    Attributes:
        model: what was trained.
        num_rows: rows it was trained on.
        num_masked_tokens: the positions of them that were predicted in one epoch.
        num_parameters: in the whole model, the tied table counted once.
        num_trained_parameters: that had a gradient.
        before: dev before the first step.
        epochs: dev after each epoch.
        steps: the loss curve.
        choices: settings left to the program, as they were used.
        facts: what a student's architecture says of it.
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
    facts: tuple[Fact, ...] = ()

    @property
    def after(self) -> MlmScores:
        """Dev after the last epoch."""
        return self.epochs[-1].dev
