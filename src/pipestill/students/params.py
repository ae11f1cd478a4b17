"""The settings of the student architectures, as params.yaml gives them, and the union of all of them.

A student is built by the module of its name beside this. Nothing here imports torch, so that a whole params.yaml is
checked in an instant.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pipestill.params import Section
from pipestill.surgery.layers import LayerChoice

TOKEN_ROWS = 2_000
"""Rows whose tokens choose the directions of a narrower token table: enough for the common ones, in a second."""


class StudentSpec(Section):
    """Base of every architecture's settings.

    Attributes:
        kind: name of the architecture, and of the module that builds it.
        has_layers: whether it has layers whose features a loss can read.
    """

    kind: str
    has_layers: ClassVar[bool] = True

    @property
    def num_rows_read(self) -> int:
        """Number of the student's training rows that building it reads."""
        return 0


class AlbertSpec(StudentSpec):
    """See albert.py.

    Attributes:
        embedding_size: d, at most the teacher's hidden size.
        num_layers: n, the number of times the shared layer is applied.
        layers: the teacher's layers that the shared one is made from, counted from 0, or a preset.
    """

    kind: Literal["albert"]
    embedding_size: int = Field(ge=1)
    num_layers: int = Field(ge=1)
    layers: LayerChoice

    @property
    def num_rows_read(self) -> int:
        """See the base class."""
        return TOKEN_ROWS


class BertLayersSpec(StudentSpec):
    """See bert_layers.py: `layers` lists the teacher's layers to keep, counted from 0, or names a preset."""

    kind: Literal["bert_layers"]
    layers: LayerChoice


class BertNarrowSpec(StudentSpec):
    """See bert_narrow.py.

    Attributes:
        layers: the teacher's layers to keep, counted from 0, or a preset.
        hidden_size: at most the teacher's, a multiple of num_heads.
        num_heads: at most the teacher's; hidden_size / num_heads is at most the width of the teacher's heads.
        intermediate_size: feed-forward units, at most the teacher's.
        calibration_rows: number of training rows on which the kept weights are refit.
    """

    kind: Literal["bert_narrow"]
    layers: LayerChoice
    hidden_size: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    calibration_rows: int = Field(ge=1)

    @property
    def num_rows_read(self) -> int:
        """See the base class."""
        return self.calibration_rows

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError("num_heads must divide hidden_size")
        return self


class BertPrunedSpec(StudentSpec):
    """See bert_pruned.py.

    Attributes:
        layers: the teacher's layers to keep, counted from 0, or a preset.
        intermediate_size: feed-forward units of each layer, at most the teacher's.
        calibration_rows: number of training rows on which units are chosen and refit.
    """

    kind: Literal["bert_pruned"]
    layers: LayerChoice
    intermediate_size: int = Field(ge=1)
    calibration_rows: int = Field(ge=1)

    @property
    def num_rows_read(self) -> int:
        """See the base class."""
        return self.calibration_rows


class BilstmSpec(StudentSpec):
    """See bilstm.py.

    Attributes:
        embedding_size: width of the token table, at most the teacher's.
        lstm_size: units of each direction.
        dense_size: units of the layer before the head.
    """

    kind: Literal["bilstm"]
    embedding_size: int = Field(ge=1)
    lstm_size: int = Field(ge=1)
    dense_size: int = Field(ge=1)

    @property
    def num_rows_read(self) -> int:
        """See the base class."""
        return TOKEN_ROWS


class DistilbertSpec(StudentSpec):
    """See distilbert.py: `layers` lists the teacher's layers to keep, counted from 0, or names a preset."""

    kind: Literal["distilbert"]
    layers: LayerChoice


class GruTransformerSpec(StudentSpec):
    """See gru_transformer.py.

    Attributes:
        embedding_size: width of the token table, at most the teacher's.
        hidden_size: width of the GRU's output and of the Transformer layers; half of it is each direction of the GRU.
        num_layers: number of Transformer layers.
        num_heads: attention heads of each, a divisor of hidden_size.
        intermediate_size: units of each feed-forward part.
        pooling: input of the head, the first token or the mean of all.
    """

    kind: Literal["gru_transformer"]
    embedding_size: int = Field(ge=1)
    hidden_size: int = Field(ge=2, multiple_of=2)
    num_layers: int = Field(ge=1)
    num_heads: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    pooling: Literal["first", "mean"]

    @property
    def num_rows_read(self) -> int:
        """See the base class."""
        return TOKEN_ROWS

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError("num_heads must divide hidden_size")
        return self


class StaticSpec(StudentSpec):
    """See static.py.

    Attributes:
        embedding_size: width of the token table, at most the teacher's.
        dense_size: units of the perceptron's hidden layer.
    """

    has_layers: ClassVar[bool] = False
    kind: Literal["static"]
    embedding_size: int = Field(ge=1)
    dense_size: int = Field(ge=1)

    @property
    def num_rows_read(self) -> int:
        """See the base class."""
        return TOKEN_ROWS


StudentKind = Annotated[
    AlbertSpec
    | BertLayersSpec
    | BertNarrowSpec
    | BertPrunedSpec
    | BilstmSpec
    | DistilbertSpec
    | GruTransformerSpec
    | StaticSpec,
    Field(discriminator="kind"),
]
"""Every student architecture, told apart by `kind`."""
