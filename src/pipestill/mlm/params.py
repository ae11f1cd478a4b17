"""The sections of pipelines/mlm/params.yaml. Nothing here imports torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipestill.params import Section
from pipestill.precision import PrecisionSetting
from pipestill.shards import StorageDtype
from pipestill.students.params import BertLayersSpec, DistilbertSpec
from pipestill.training.params import OptimiserParams


class MlmMasksParams(Section):
    """Settings of masking.

    Attributes:
        seed: random seed of the masks and of the dev split.
        max_rows: largest number of texts; see `Texts`.
        dev_fraction: share of the texts that is held out, by the hash of the text, to measure the models on.
        max_length: the longest input in tokens, special tokens included.
        masked_fraction: share of a row's ordinary tokens that is masked, at least one token.
        mask_token_fraction: share of the masked positions that gets the mask token.
        random_token_fraction: share of the masked positions that gets a random ordinary token.
    """

    seed: int = Field(ge=0)
    max_rows: int = Field(ge=1)
    dev_fraction: float = Field(gt=0, lt=1)
    max_length: int = Field(ge=4)
    masked_fraction: float = Field(gt=0, lt=1)
    mask_token_fraction: float = Field(ge=0, le=1)
    random_token_fraction: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _shares_are_shares(self) -> Self:
        if self.mask_token_fraction + self.random_token_fraction > 1:
            raise ValueError("mask_token_fraction + random_token_fraction must be at most 1")
        return self


class NoAdaptation(Section):
    """No further training but that of a new head."""

    kind: Literal["none"]


class WholeAdaptation(Section):
    """Further training of the whole model."""

    kind: Literal["whole"]
    training: OptimiserParams


class MlmTeacherParams(Section):
    """Settings of making a masked-language-model teacher from a base.

    Attributes:
        seed: random seed of a new head, the order of rows and the dropouts.
        new_head: training of a new head, where the base lacks one; the encoder is frozen, and so is the token table,
            which the head shares, unless `train_embeddings`.
        adaptation: further training of the whole model on the texts, or none.
    """

    seed: int = Field(ge=0)
    new_head: OptimiserParams
    adaptation: Annotated[NoAdaptation | WholeAdaptation, Field(discriminator="kind")]


class MlmCacheParams(Section):
    """Settings of the teacher's run over the masked rows, and the outputs to keep.

    Attributes:
        k: most probable tokens kept at each masked position.
        temperature: T of the soft targets, which the student uses too.
        batch_size: rows in one forward pass.
        precision: arithmetic of the teacher's matrix products.
        shard_rows: rows in one shard; a killed run resumes at the next shard.
        storage_dtype: type of stored log-probabilities and hidden states.
        max_bytes: a larger cache is refused before anything is written.
    """

    k: int = Field(ge=1)
    temperature: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    precision: PrecisionSetting
    shard_rows: int = Field(ge=1)
    storage_dtype: StorageDtype
    max_bytes: int = Field(ge=1)


class MlmWeights(Section):
    """Weights of the three losses; see the module. DistilBERT's are 2, 5 and 1."""

    hard_weight: float = Field(ge=0)
    soft_weight: float = Field(ge=0)
    cosine_weight: float = Field(ge=0)

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if not self.hard_weight + self.soft_weight + self.cosine_weight:
            raise ValueError("at least one weight must be above 0")
        return self


class MlmDistillParams(Section):
    """Settings of a task-agnostic student.

    Attributes:
        seed: random seed of the order of rows and the dropouts.
        architecture: kind of student: fewer layers of the teacher's kind, or a DistilBERT of a BERT's layers.
        weights: weights of the three losses.
        training: optimiser and schedule settings.
    """

    seed: int = Field(ge=0)
    architecture: Annotated[BertLayersSpec | DistilbertSpec, Field(discriminator="kind")]
    weights: MlmWeights
    training: OptimiserParams
