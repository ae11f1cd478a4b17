"""Settings of trainings: teachers' sections of params.yaml, the `training` part of every section."""

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from pipestill.params import Section
from pipestill.precision import PrecisionSetting
from pipestill.tasks import Metric

LOG_STEPS = 10
"""Optimiser steps between two points of the loss curve; checkpoints fall on such points."""


Auto = Literal["auto"]
"""Value of a setting that the program chooses from the data (training/recipe.py); the choice is recorded."""


def _tag(value: object) -> str:
    return "auto" if value == "auto" else "number"


# Discriminated, so that a wrong value is refused once, not for each member of the union.
_OR_AUTO = Discriminator(_tag)
_Auto = Annotated[Auto, Tag("auto")]
_Count = Annotated[int, Field(ge=1)]
_Rate = Annotated[float, Field(gt=0)]
_Fraction = Annotated[float, Field(ge=0, lt=1)]
CountOrAuto = Annotated[Annotated[_Count, Tag("number")] | _Auto, _OR_AUTO]
RateOrAuto = Annotated[Annotated[_Rate, Tag("number")] | _Auto, _OR_AUTO]
FractionOrAuto = Annotated[Annotated[_Fraction, Tag("number")] | _Auto, _OR_AUTO]
MaxLength = Annotated[Annotated[int, Field(ge=4), Tag("number")] | _Auto, _OR_AUTO]
"""The longest input in tokens, special tokens included; longer texts are cut."""


Count = TypeVar("Count")
Rate = TypeVar("Rate")
Fraction = TypeVar("Fraction")


class Optimiser(Section, Generic[Count, Rate, Fraction]):
    """Fields of every training; its parameters are the types of those that may be `auto` in some."""

    epochs: Count
    batch_size: Count
    accumulation_steps: Count
    learning_rate: Rate
    warmup_fraction: Fraction
    schedule: Literal["linear", "cosine", "constant"]
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    train_embeddings: bool
    precision: PrecisionSetting
    checkpoint_steps: int = Field(ge=LOG_STEPS, multiple_of=LOG_STEPS)

    @model_validator(mode="after")
    def _parts_are_whole(self) -> Self:
        sizes = (self.batch_size, self.accumulation_steps)
        if isinstance(sizes[0], int) and isinstance(sizes[1], int) and sizes[0] % sizes[1]:
            raise ValueError("accumulation_steps must divide batch_size")
        return self


class OptimiserParams(Optimiser[_Count, _Rate, _Fraction]):
    """Settings of a training, whatever its task.

    Attributes:
        epochs: passes over the rows.
        batch_size: rows in one optimiser step.
        accumulation_steps: forward passes in which a batch is computed, to save memory; changes no gradient.
        learning_rate: peak of the learning rate.
        warmup_fraction: share of the steps in which the rate rises from 0 to its peak.
        schedule: shape of the rate's decay to 0.
        weight_decay: weight decay of AdamW, on matrices only.
        max_grad_norm: largest gradient norm; longer gradients are clipped.
        dropout: probability of every dropout in the model.
        train_embeddings: False keeps the token embeddings as they are, which is faster.
        precision: arithmetic of matrix products, `auto` for what the device computes natively; weights and losses stay
            float32.
        checkpoint_steps: optimiser steps between two checkpoints, a multiple of 10; a killed run resumes at the last.
    """


class TrainingParams(OptimiserParams):
    """Settings of a classifier's training; the best epoch on dev is kept.

    Attributes:
        selection_metric: measure of the task on dev that chooses the epoch; nll_nats is the least noisy where dev rows
            are few, and decides ties.
    """

    selection_metric: Metric


class TrainingSettings(Optimiser[CountOrAuto, RateOrAuto, FractionOrAuto]):
    """A classifier's training as params.yaml sets it: `TrainingParams`, some of them `auto`, and a time limit.

    Attributes:
        epochs: `auto` makes the passes that see a number of rows growing with the labels, and stops early when dev no
            longer improves.
        max_minutes: where the training is estimated to take longer, `epochs: auto` makes fewer passes, or one over a
            part of the rows; an explicit number of epochs is kept, with a warning. 0: no limit.
        batch_size: `auto` takes fewer rows a step where there are few.
        accumulation_steps: `auto` computes a batch in as many forward passes as keep attention's memory small.
        learning_rate: `auto` falls with the width of the model.
        warmup_fraction: `auto` warms up over a tenth of the steps, and no more than 500.
        selection_metric: `auto` is the task's choice, which looks at the rows of each label.
    """

    selection_metric: Literal[Auto, Metric]
    max_minutes: float = Field(default=0, ge=0)


class FinetuneTeacherParams(Section):
    """Settings of fine-tuning the teacher on the train rows with cross-entropy.

    Attributes:
        seed: random seed of the new head, the order of rows and the dropouts.
        max_length: the longest input in tokens, where longer texts are cut; `auto` fits 99% of the train texts.
        head: `probe` fits the new head on the frozen base before fine-tuning starts (arXiv:2202.10054); `random` does
            not.
        training: optimiser, schedule and limits; see `TrainingSettings`.
    """

    seed: int = Field(ge=0)
    max_length: MaxLength
    head: Literal["probe", "random"]
    training: TrainingSettings


class MoreTeacherParams(FinetuneTeacherParams):
    """Settings of one more teacher, for an ensemble.

    Attributes:
        base: pretrained model to fine-tune: the base of `fetch`, or one of `more_bases`.
    """

    base: str = Field(pattern=r"^models/(base|bases/\w+)$")
