"""How any model is trained: the `training` part of the sections of params.yaml that train one."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipestill.params import Section
from pipestill.precision import PrecisionSetting

LOG_STEPS = 10
"""Optimiser steps between two points of the loss curve; checkpoints fall on such points."""


class OptimiserParams(Section):
    """How a model is trained, whatever for.

    Attributes:
        epochs: passes over the rows.
        batch_size: rows in one optimiser step.
        accumulation_steps: forward passes in which a batch is computed, to save memory; changes no gradient.
        learning_rate: at its peak.
        warmup_fraction: share of the steps in which the rate rises from 0 to its peak.
        schedule: how it falls to 0 afterwards.
        weight_decay: AdamW's, on matrices only.
        max_grad_norm: longer gradients are clipped to this length.
        dropout: probability of every dropout in the model.
        train_embeddings: False keeps the token embeddings as they are, which is faster.
        precision: arithmetic of matrix products, `auto` for what the device computes natively; weights and losses stay
            float32.
        checkpoint_steps: optimiser steps between two checkpoints, a multiple of 10; a killed run resumes at the last.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    accumulation_steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    warmup_fraction: float = Field(ge=0, lt=1)
    schedule: Literal["linear", "cosine", "constant"]
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    train_embeddings: bool
    precision: PrecisionSetting
    checkpoint_steps: int = Field(ge=LOG_STEPS, multiple_of=LOG_STEPS)

    @model_validator(mode="after")
    def _parts_are_whole(self) -> Self:
        if self.batch_size % self.accumulation_steps:
            raise ValueError("accumulation_steps must divide batch_size")
        return self


class TrainingParams(OptimiserParams):
    """How a classifier is trained; of its epochs the best on dev is kept.

    Attributes:
        selection_metric: what is best on dev, the highest accuracy or macro_f1 or the lowest nll_nats, which says most
            where dev rows are few; ties go to the lower nll_nats.
    """

    selection_metric: Literal["accuracy", "macro_f1", "nll_nats"]
