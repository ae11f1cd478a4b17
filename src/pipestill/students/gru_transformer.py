"""A student with a bidirectional GRU under a few Transformer layers; made of any teacher's token embeddings.

See architectures/gru_transformer.py for its arithmetic. The token table is the teacher's, cut to its `embedding_size`
principal directions where that is less than the teacher's width (surgery/directions.py; the share of the energy kept is
reported) and normalised by a layer of its own. GRU, Transformer layers and head are random. The GRU takes the place of
position embeddings, so the student reads texts of any length.

ONNX Runtime has no int8 GRU: its weights stay float, which the export's record and the model card say in bytes.
"""

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from transformers import PreTrainedModel

from pipestill.architectures.gru_transformer import GruTransformerConfig, GruTransformerForSequenceClassification
from pipestill.facts import Fact
from pipestill.students._base import Built, StudentSpec
from pipestill.surgery.directions import reduced


class GruTransformerSpec(StudentSpec):
    """See the module.

    Attributes:
        embedding_size: width of the token table, at most the teacher's.
        hidden_size: width of the GRU's output and of the Transformer layers; half of it is each direction of the GRU.
        num_layers: Transformer layers.
        num_heads: attention heads of each, a divisor of hidden_size.
        intermediate_size: units of each feed-forward part.
        pooling: what the head reads, the first token or the mean of all.
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

    def build(self, initial: PreTrainedModel) -> Built:
        """Build a student on a model's token embeddings."""
        table, energy = reduced(initial.get_input_embeddings().weight, self.embedding_size)
        config = GruTransformerConfig(
            vocab_size=len(table),
            embedding_size=self.embedding_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_layers,
            num_attention_heads=self.num_heads,
            intermediate_size=self.intermediate_size,
            pooling=self.pooling,
            pad_token_id=initial.config.pad_token_id,
            id2label=initial.config.id2label,
            label2id=initial.config.label2id,
        )
        student = GruTransformerForSequenceClassification(config)
        with torch.no_grad():
            student.word_embeddings.weight.copy_(table)
        return Built(student, (Fact(name="word_embedding_energy_kept_fraction", value=energy, unit="fraction"),))
