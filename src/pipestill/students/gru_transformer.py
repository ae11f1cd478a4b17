"""A student with a bidirectional GRU under a few Transformer layers; made from any teacher's token embeddings.

See architectures/gru_transformer.py for its arithmetic. The token table is the teacher's, cut to its `embedding_size`
principal directions where that is less than the teacher's width (surgery/directions.py; the share of the energy kept is
reported) and normalised by a layer of its own. GRU, Transformer layers and head are random. The GRU takes the place of
position embeddings, so the student reads texts of any length.

ONNX Runtime has no int8 GRU: its weights stay float, and the export's record and the model card state their bytes.
"""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel

from pipestill.architectures.gru_transformer import GruTransformerConfig, GruTransformerForSequenceClassification
from pipestill.students._base import Batch, Built
from pipestill.students._token_table import build_on_table
from pipestill.students.params import GruTransformerSpec


def build(spec: GruTransformerSpec, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
    """Build a student on a model's token embeddings."""

    def new_model(shared: dict[str, Any]) -> GruTransformerForSequenceClassification:
        return GruTransformerForSequenceClassification(
            GruTransformerConfig(
                embedding_size=spec.embedding_size,
                hidden_size=spec.hidden_size,
                num_hidden_layers=spec.num_layers,
                num_attention_heads=spec.num_heads,
                intermediate_size=spec.intermediate_size,
                pooling=spec.pooling,
                **shared,
            )
        )

    return build_on_table(initial, batches, spec.embedding_size, new_model, to_unit=False)
