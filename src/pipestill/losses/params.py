"""The settings of the losses, as params.yaml gives them, and the union of all of them.

The arithmetic of a loss is in the module of its name beside this. Nothing here imports torch, so that a whole
params.yaml is checked in an instant.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from pipestill.params import FROM_LIST, Section
from pipestill.schedules import Schedule, Temperature


def _as_pairs(value: Any) -> Any:  # noqa: ANN401 (any YAML value)
    return (
        tuple(tuple(pair) if isinstance(pair, list) else pair for pair in value) if isinstance(value, list) else value
    )


LayerPairs = tuple[tuple[int, int], ...]
LayerMap = Annotated[Literal["uniform"] | LayerPairs, BeforeValidator(_as_pairs)]
"""`uniform`, or pairs [student layer, teacher layer]; layers count from 1, and -1 is the last."""


class LossSpec(Section):
    """Base of every loss's settings.

    Attributes:
        kind: name of the loss, and of the module with its arithmetic.
        asks_teacher: whether it needs a teacher; otherwise it reads hard labels.
        asks_features: whether it reads features of teacher and student, at the sites that `losses.reads` names.
        first_token_only: whether those are features of the first token, which every tokenisation of a text has.
        projects: whether hidden states of other widths than the teacher's go through a learned projection.
    """

    kind: str
    asks_teacher: ClassVar[bool] = True
    asks_features: ClassVar[bool] = False
    first_token_only: ClassVar[bool] = False
    projects: ClassVar[bool] = False


class AttentionSpec(LossSpec):
    """Base of the settings of losses that compare attention score by score.

    Attributes:
        layers: pairs of layers, or `uniform`.
    """

    asks_features: ClassVar[bool] = True
    layers: LayerMap


class AttentionKlSpec(AttentionSpec):
    """See attention_kl.py."""

    kind: Literal["attention_kl"]


class AttentionScoresMseSpec(AttentionSpec):
    """See attention_scores_mse.py."""

    kind: Literal["attention_scores_mse"]


class CrossEntropySpec(LossSpec):
    """See cross_entropy.py."""

    asks_teacher: ClassVar[bool] = False
    kind: Literal["cross_entropy"]


class HiddenMseSpec(LossSpec):
    """See hidden_mse.py."""

    asks_features: ClassVar[bool] = True
    projects: ClassVar[bool] = True
    kind: Literal["hidden_mse"]
    layers: LayerMap


class LastHiddenCosineSpec(LossSpec):
    """See last_hidden_cosine.py."""

    asks_features: ClassVar[bool] = True
    projects: ClassVar[bool] = True
    kind: Literal["last_hidden_cosine"]


class LogitMseSpec(LossSpec):
    """See logit_mse.py."""

    kind: Literal["logit_mse"]


class MinilmRelationsSpec(LossSpec):
    """See minilm_relations.py.

    Attributes:
        parts: parts whose relations are compared: `query`, `key`, `value`.
        relation_heads: number of heads they are cut into; divides both widths.
        student_layer: layer of the student, counted from 1; -1 is the last.
        teacher_layer: layer of the teacher, counted from 1; -1 is the last.
    """

    asks_features: ClassVar[bool] = True
    kind: Literal["minilm_relations"]
    parts: Annotated[tuple[Literal["query", "key", "value"], ...], FROM_LIST, Field(min_length=1)]
    relation_heads: int = Field(ge=1)
    student_layer: int
    teacher_layer: int


class PatientKdSpec(LossSpec):
    """See patient_kd.py."""

    asks_features: ClassVar[bool] = True
    first_token_only: ClassVar[bool] = True
    projects: ClassVar[bool] = True
    kind: Literal["patient_kd"]
    layers: LayerMap


class ProbabilityMseSpec(LossSpec):
    """See probability_mse.py."""

    kind: Literal["probability_mse"]
    temperature: Temperature


class SoftTargetCrossEntropySpec(LossSpec):
    """See soft_target_cross_entropy.py."""

    kind: Literal["soft_target_cross_entropy"]
    temperature: Temperature


class SoftTargetKlSpec(LossSpec):
    """See soft_target_kl.py."""

    kind: Literal["soft_target_kl"]
    temperature: Temperature


class TeacherLabelCrossEntropySpec(LossSpec):
    """See teacher_label_cross_entropy.py."""

    kind: Literal["teacher_label_cross_entropy"]


Loss = Annotated[
    AttentionKlSpec
    | AttentionScoresMseSpec
    | CrossEntropySpec
    | HiddenMseSpec
    | LastHiddenCosineSpec
    | LogitMseSpec
    | MinilmRelationsSpec
    | PatientKdSpec
    | ProbabilityMseSpec
    | SoftTargetCrossEntropySpec
    | SoftTargetKlSpec
    | TeacherLabelCrossEntropySpec,
    Field(discriminator="kind"),
]
"""Every loss, told apart by `kind`."""


@dataclass(frozen=True)
class Term:
    """A loss and its weight."""

    weight: float | Schedule
    loss: LossSpec


Objective = tuple[Term, ...]
"""The losses that a training minimises, as their weighted sum."""
