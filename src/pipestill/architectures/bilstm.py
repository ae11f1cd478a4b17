"""`bilstm`: the student of Tang et al. 2019 (arXiv:1903.12136), a single-layer bidirectional LSTM.

    e = dropout(embedding(ids))                            [batch, token, embedding_size]
    h = LSTM(e)                                            last states of both directions, [batch, 2 * lstm_size]
    logits = classifier(dropout(relu(dense(h))))           [batch, label]

hidden_states[0] are the embeddings, hidden_states[1] the LSTM's output at each token, `[batch, token, 2 * lstm_size]`,
0 at padding. There is no attention.
"""

from torch import Tensor, nn
from transformers import PreTrainedConfig

from pipestill.architectures._base import TokenTableClassifier, register
from pipestill.architectures._recurrent import read_packed


class BilstmConfig(PreTrainedConfig):
    """Sizes of the model; hidden_size is the width of its last hidden states, 2 * lstm_size."""

    model_type = "bilstm"

    vocab_size: int = 30522
    embedding_size: int = 300
    lstm_size: int = 150
    dense_size: int = 200
    hidden_size: int = 300
    num_hidden_layers: int = 1
    hidden_dropout_prob: float = 0.1
    pad_token_id: int | None = 0


class BilstmForSequenceClassification(TokenTableClassifier):
    """See the module."""

    config: BilstmConfig
    config_class = BilstmConfig
    is_normalised = False

    def __init__(self, config: BilstmConfig) -> None:
        super().__init__(config, config.embedding_size)
        self.lstm = nn.LSTM(config.embedding_size, config.lstm_size, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(2 * config.lstm_size, config.dense_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.dense_size, config.num_labels)
        self.post_init()

    def classify(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Classify a batch; see the module, and `TokenTableClassifier`."""
        embedded = self.dropout(self.word_embeddings(input_ids))
        outputs, last = read_packed(self.lstm, embedded, attention_mask)
        logits = self.classifier(self.dropout(self.dense(last).relu()))
        return logits, (embedded, outputs)


register(BilstmConfig, BilstmForSequenceClassification)
