"""The losses. To add one: a file beside this, its import and its place in the union here, an entry in params.yaml."""

from typing import Annotated

from pydantic import Field

from pipestill.losses.attention_kl import AttentionKlSpec
from pipestill.losses.attention_scores_mse import AttentionScoresMseSpec
from pipestill.losses.cross_entropy import CrossEntropySpec
from pipestill.losses.hidden_mse import HiddenMseSpec
from pipestill.losses.last_hidden_cosine import LastHiddenCosineSpec
from pipestill.losses.logit_mse import LogitMseSpec
from pipestill.losses.minilm_relations import MinilmRelationsSpec
from pipestill.losses.patient_kd import PatientKdSpec
from pipestill.losses.probability_mse import ProbabilityMseSpec
from pipestill.losses.soft_target_cross_entropy import SoftTargetCrossEntropySpec
from pipestill.losses.soft_target_kl import SoftTargetKlSpec
from pipestill.losses.teacher_label_cross_entropy import TeacherLabelCrossEntropySpec

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
