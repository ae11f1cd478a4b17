"""The sections `students.<name>` of params.yaml."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipestill.losses import HardLoss, SoftLoss
from pipestill.params import Section
from pipestill.students import StudentKind
from pipestill.training.objective import Objective
from pipestill.training.params import TrainingParams


class ObjectiveParams(Section):
    """hard_weight * hard_loss + soft_weight * soft_loss, each a mean over the rows of the batch."""

    hard_weight: float = Field(ge=0)
    hard_loss: HardLoss
    soft_weight: float = Field(ge=0)
    soft_loss: SoftLoss

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if self.hard_weight == 0 and self.soft_weight == 0:
            raise ValueError("hard_weight and soft_weight are both 0: nothing would be learned")
        return self

    def terms(self) -> Objective:
        """The losses that count, with their weights: one of weight 0 is left out, costs nothing and needs nothing."""
        terms = ((self.hard_weight, self.hard_loss), (self.soft_weight, self.soft_loss))
        return tuple((weight, loss) for weight, loss in terms if weight > 0)


class StudentParams(Section):
    """One student: where it comes from, what it learns from, and how.

    The three paths are dependencies of the student's stage: DVC reruns it when, and only when, one of them changes.

    Attributes:
        seed: of what is random in it, the order of rows and the dropouts.
        architecture: what it is built like.
        init: the model it takes its weights from: the fine-tuned teacher, or the base that knows no task.
        rows: the rows it trains on: the transfer set, or the train rows alone.
        targets: where its targets come from: the logit cache (offline distillation), the teacher itself, run in the
            loop (online distillation), or the train rows' hard labels (no teacher).
        max_length: the longest input in tokens.
        objective: the loss.
        training: see `TrainingParams`.
    """

    seed: int = Field(ge=0)
    architecture: StudentKind
    init: Literal["models/teacher", "models/base"]
    rows: Literal["data/transfer", "data/prepared/train.parquet"]
    targets: Literal["data/logits", "models/teacher", "data/prepared/train.parquet"]
    max_length: int = Field(ge=4)
    objective: ObjectiveParams
    training: TrainingParams

    @model_validator(mode="after")
    def _targets_fit(self) -> Self:
        learns_alone = self.targets == "data/prepared/train.parquet"
        if learns_alone and self.objective.soft_weight > 0:
            raise ValueError("soft_weight is above 0, so targets must be data/logits or models/teacher")
        if not learns_alone and self.objective.soft_weight == 0:
            raise ValueError("soft_weight is 0, so targets must be data/prepared/train.parquet: no teacher is asked")
        if not learns_alone and self.init != "models/teacher":
            raise ValueError("targets come from the teacher, so init must be models/teacher")
        if learns_alone and self.rows != "data/prepared/train.parquet":
            raise ValueError("targets are hard labels, so rows must be data/prepared/train.parquet: others have none")
        return self
