"""A student with a bidirectional GRU under a few Transformer layers; made from any teacher's token embeddings.

See architectures/gru_transformer.py for its arithmetic. The token table is the teacher's, cut to its `embedding_size`
principal directions where that is less than the teacher's width (surgery/directions.py; the share of the energy kept is
reported) and normalised by a layer of its own. GRU, Transformer layers and head are random. The GRU takes the place of
position embeddings, so the student reads texts of any length.

ONNX Runtime has no int8 GRU: its weights stay float, and the export's record and the model card state their bytes.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from transformers import PreTrainedModel

from pipestill.architectures.gru_transformer import GruTransformerConfig, GruTransformerForSequenceClassification
from pipestill.students._base import Batch, Built, StudentSpec
from pipestill.students._token_table import build_on_table


class GruTransformerSpec(StudentSpec):
    """See the module.

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

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError("num_heads must divide hidden_size")
        return self

    def build(self, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
        """Build a student on a model's token embeddings."""

        def new_model(shared: dict[str, Any]) -> GruTransformerForSequenceClassification:
            return GruTransformerForSequenceClassification(
                GruTransformerConfig(
                    embedding_size=self.embedding_size,
                    hidden_size=self.hidden_size,
                    num_hidden_layers=self.num_layers,
                    num_attention_heads=self.num_heads,
                    intermediate_size=self.intermediate_size,
                    pooling=self.pooling,
                    **shared,
                )
            )

        return build_on_table(initial, self.embedding_size, new_model, to_unit=False)
