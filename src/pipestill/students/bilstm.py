"""The BiLSTM student of Tang et al. 2019 (arXiv:1903.12136); made of any teacher's token embeddings.

See architectures/bilstm.py for its arithmetic. In the paper the embeddings are word2vec's, 300 wide, the LSTM has 150
or 300 units and the dense layer 200 or 400. Here the token table is the teacher's, cut to its `embedding_size`
principal directions where that is less than the teacher's width (surgery/directions.py; the share of the energy kept
is reported) and scaled to a root mean square of 1, which is what the LSTM's random weights expect. LSTM and head are
random. It reads texts of any length, and ONNX Runtime quantises its LSTM.
"""

from typing import Literal

import torch
from pydantic import Field
from transformers import PreTrainedModel

from pipestill.architectures.bilstm import BilstmConfig, BilstmForSequenceClassification
from pipestill.facts import Fact
from pipestill.students._base import Built, StudentSpec
from pipestill.surgery.directions import reduced


class BilstmSpec(StudentSpec):
    """See the module.

    Attributes:
        embedding_size: width of the token table, at most the teacher's.
        lstm_size: units of each direction.
        dense_size: units of the layer before the head.
    """

    kind: Literal["bilstm"]
    embedding_size: int = Field(ge=1)
    lstm_size: int = Field(ge=1)
    dense_size: int = Field(ge=1)

    def build(self, initial: PreTrainedModel) -> Built:
        """Build a student on a model's token embeddings."""
        table, energy = reduced(initial.get_input_embeddings().weight, self.embedding_size)
        config = BilstmConfig(
            vocab_size=len(table),
            embedding_size=self.embedding_size,
            lstm_size=self.lstm_size,
            dense_size=self.dense_size,
            hidden_size=2 * self.lstm_size,
            pad_token_id=initial.config.pad_token_id,
            id2label=initial.config.id2label,
            label2id=initial.config.label2id,
        )
        student = BilstmForSequenceClassification(config)
        with torch.no_grad():
            student.word_embeddings.weight.copy_(table / table.square().mean().sqrt())
        return Built(student, (Fact(name="word_embedding_energy_kept_fraction", value=energy, unit="fraction"),))
