"""The sections `students.<name>` of params.yaml."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipestill.losses.params import Loss, Objective, Term
from pipestill.params import FROM_LIST, Section
from pipestill.schedules import Weight, extremes
from pipestill.students.params import TOKEN_ROWS, StudentKind
from pipestill.training.params import MaxLength, TrainingSettings


class FullVocabulary(Section):
    """All tokens of the initial model's vocabulary."""

    kind: Literal["full"]


class PrunedVocabulary(Section):
    """The tokens that occur at least `min_count` times in the training rows, and those they need."""

    kind: Literal["pruned"]
    min_count: int = Field(ge=1)


VocabularySpec = Annotated[FullVocabulary | PrunedVocabulary, Field(discriminator="kind")]
"""Specification of a student's vocabulary."""


class FullEmbedding(Section):
    """One table, as wide as the architecture's hidden size."""

    kind: Literal["full"]

    @property
    def num_rows_read(self) -> int:
        """Number of the student's training rows that making it reads."""
        return 0


class FactorisedEmbeddingSpec(Section):
    """A table of width `size`, and a linear map from there."""

    kind: Literal["factorised"]
    size: int = Field(ge=1)

    @property
    def num_rows_read(self) -> int:
        """See `FullEmbedding`."""
        return TOKEN_ROWS


EmbeddingSpec = Annotated[FullEmbedding | FactorisedEmbeddingSpec, Field(discriminator="kind")]
"""Specification of a student's token embedding."""


class TermParams(Section):
    """One term of the objective: weight * mean over the rows of the batch of the loss."""

    weight: Weight
    loss: Loss


class StudentParams(Section):
    """Settings of one student: architecture, initial weights, rows, targets, losses and training.

    The three paths are dependencies of the student's stage: DVC reruns it when, and only when, one of them changes.

    Attributes:
        seed: random seed of new weights, the order of rows and the dropouts.
        architecture: kind of model and its sizes.
        vocabulary: tokens to keep.
        embedding: full or factorised token embedding.
        init: model it takes its weights from: the fine-tuned teacher, the pretrained base, or a task-agnostic student
            distilled from the base (docs/mlm.md).
        rows: rows it trains on: the transfer set, the ablation's own, or the train rows alone.
        targets: source of its targets: the logit cache, the ablation's, or that of an ensemble (offline distillation),
            the teacher itself, run in the loop (online distillation), or the train rows' hard labels (no teacher).
        max_length: the longest input in tokens; `auto` is the teacher's, or fits 99% of the train texts without one.
        objective: the losses, whose weighted sum is minimised.
        training: optimiser, schedule and limits; see `TrainingSettings`.
    """

    seed: int = Field(ge=0)
    architecture: StudentKind
    vocabulary: VocabularySpec
    embedding: EmbeddingSpec
    init: Literal["models/teacher", "models/base", "models/mlm/student"]
    rows: Literal["data/transfer", "data/ablation/transfer", "data/prepared/train.parquet"]
    targets: str = Field(
        pattern=r"^(data/(ablation/)?logits|data/ensembles/\w+|models/teacher|data/prepared/train\.parquet)$"
    )
    max_length: MaxLength
    objective: Annotated[tuple[TermParams, ...], FROM_LIST]
    training: TrainingSettings

    @property
    def table(self) -> Path:
        """File of the rows it trains on."""
        path = Path(self.rows)
        return path if path.suffix == ".parquet" else path / "rows.parquet"

    @property
    def terms(self) -> Objective:
        """Losses with a weight above 0; the others are left out and cost nothing."""
        return tuple(Term(term.weight, term.loss) for term in self.objective if extremes(term.weight)[1] > 0)

    @property
    def asks_features(self) -> bool:
        """True if any loss with a weight reads features of teacher and student."""
        return any(term.loss.asks_features for term in self.terms)

    @property
    def asks_teacher(self) -> bool:
        """True if any loss with a weight needs a teacher."""
        return any(term.loss.asks_teacher for term in self.terms)

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if not self.terms:
            raise ValueError("objective needs a loss with a weight above 0")
        return self

    @model_validator(mode="after")
    def _targets_fit(self) -> Self:
        kinds = ", ".join(term.loss.kind for term in self.objective if term.loss.asks_teacher)
        learns_alone = self.targets == "data/prepared/train.parquet"
        if learns_alone and self.asks_teacher:
            raise ValueError(f"objective needs a teacher ({kinds}), so targets must be data/logits or models/teacher")
        if not learns_alone and not self.asks_teacher:
            raise ValueError("objective does not need a teacher, so targets must be data/prepared/train.parquet")
        if not learns_alone and self.init == "models/base":
            raise ValueError("targets come from the teacher, so init must be models/teacher or models/mlm/student")
        if self.asks_features and "models/teacher" not in {self.init, self.targets}:
            raise ValueError("objective reads the teacher's features, so init or targets must be models/teacher")
        if learns_alone and self.rows != "data/prepared/train.parquet":
            raise ValueError(
                "targets are hard labels, so rows must be data/prepared/train.parquet: other rows are unlabelled"
            )
        return self
