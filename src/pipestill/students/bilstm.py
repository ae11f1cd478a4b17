"""The BiLSTM student of Tang et al. 2019 (arXiv:1903.12136); made from any teacher's token embeddings.

See architectures/bilstm.py for its arithmetic. In the paper the embeddings are word2vec's, 300 wide, the LSTM has 150
or 300 units and the dense layer 200 or 400. Here the token table is the teacher's, cut to its `embedding_size`
principal directions where that is less than the teacher's width (surgery/directions.py; the share of the energy kept is
reported) and scaled to a root mean square of 1, which the LSTM's random weights expect. LSTM and head are random. It
reads texts of any length, and ONNX Runtime quantises its LSTM.
"""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel

from pipestill.architectures.bilstm import BilstmConfig, BilstmForSequenceClassification
from pipestill.students._base import Batch, Built
from pipestill.students._token_table import build_on_table
from pipestill.students.params import BilstmSpec


def build(spec: BilstmSpec, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
    """Build a student on a model's token embeddings."""

    def new_model(shared: dict[str, Any]) -> BilstmForSequenceClassification:
        return BilstmForSequenceClassification(
            BilstmConfig(
                embedding_size=spec.embedding_size,
                lstm_size=spec.lstm_size,
                dense_size=spec.dense_size,
                hidden_size=2 * spec.lstm_size,
                **shared,
            )
        )

    return build_on_table(initial, batches, spec.embedding_size, new_model, to_unit=True)
