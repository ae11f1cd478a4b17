"""`bilstm`: the student of Tang et al. 2019 (arXiv:1903.12136), a single-layer bidirectional LSTM.

    e = dropout(embedding(ids))                            [batch, token, embedding_size]
    h = LSTM(e)                                            last states of both directions, [batch, 2 * lstm_size]
    logits = classifier(dropout(relu(dense(h))))           [batch, label]

hidden_states[0] are the embeddings, hidden_states[1] the LSTM's output at each token, `[batch, token, 2 * lstm_size]`,
0 at padding. There is no attention.
"""

from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

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


class BilstmForSequenceClassification(PreTrainedModel):
    """See the module."""

    config: BilstmConfig
    config_class = BilstmConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True  # no attention, so any will do

    def __init__(self, config: BilstmConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.word_embeddings = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=config.pad_token_id)
        self.lstm = nn.LSTM(config.embedding_size, config.lstm_size, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(2 * config.lstm_size, config.dense_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.dense_size, config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Leave PyTorch's own initialisation: transformers' normal of 0.02 is meant for layers that are normalised."""

    def get_input_embeddings(self) -> nn.Embedding:
        """The table of tokens."""
        return self.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the table of tokens."""
        self.word_embeddings = value

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        output_hidden_states: bool | None = None,
        **_: Any,  # noqa: ANN401 (what transformers passes to every model)
    ) -> SequenceClassifierOutput:
        """Classify a batch.

        Args:
            input_ids: int64 `[batch, token]`.
            attention_mask: int64 `[batch, token]`, 1 on tokens, 0 on the padding behind them.
            output_hidden_states: whether to return them; see the module.

        Returns:
            Logits float32 `[batch, label]`.
        """
        embedded = self.dropout(self.word_embeddings(input_ids))
        outputs, last = read_packed(self.lstm, embedded, attention_mask)
        logits = self.classifier(self.dropout(self.dense(last).relu()))
        return SequenceClassifierOutput(
            logits=logits, hidden_states=(embedded, outputs) if output_hidden_states else None
        )


AutoConfig.register(BilstmConfig.model_type, BilstmConfig, exist_ok=True)
AutoModelForSequenceClassification.register(BilstmConfig, BilstmForSequenceClassification, exist_ok=True)
