"""`static`: a weighted bag of token embeddings and a small perceptron; what comes first in a text it cannot tell.

    w = softmax over the text's tokens of importance(ids)  [batch, token], 0 at padding
    b = sum over tokens of w * embedding(ids)              [batch, embedding_size]
    logits = classifier(dropout(relu(dense(b))))           [batch, label]

`importance` is one learned number a token of the vocabulary, 0 at first: then b is the mean. hidden_states[0] are the
embeddings, `[batch, token, embedding_size]`; there are no layers and there is no attention.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class StaticConfig(PreTrainedConfig):
    """Sizes of the model; hidden_size is the width of its only hidden states, the embeddings."""

    model_type = "static"

    vocab_size: int = 30522
    hidden_size: int = 128
    dense_size: int = 128
    num_hidden_layers: int = 0
    hidden_dropout_prob: float = 0.1
    pad_token_id: int | None = 0


class StaticForSequenceClassification(PreTrainedModel):
    """See the module."""

    config: StaticConfig
    config_class = StaticConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True  # no attention, so any will do

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.importance = nn.Embedding(config.vocab_size, 1)
        nn.init.zeros_(self.importance.weight)
        self.dense = nn.Linear(config.hidden_size, config.dense_size)
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
            attention_mask: int64 `[batch, token]`, 1 on tokens, 0 on padding.
            output_hidden_states: whether to return them; see the module.

        Returns:
            Logits float32 `[batch, label]`.
        """
        embedded = self.word_embeddings(input_ids)
        scores = self.importance(input_ids).squeeze(-1)
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask == 0, torch.finfo(scores.dtype).min)
        bag = torch.bmm(scores.softmax(dim=1).unsqueeze(1), embedded).squeeze(1)
        logits = self.classifier(self.dropout(self.dense(bag).relu()))
        return SequenceClassifierOutput(logits=logits, hidden_states=(embedded,) if output_hidden_states else None)


AutoConfig.register(StaticConfig.model_type, StaticConfig, exist_ok=True)
AutoModelForSequenceClassification.register(StaticConfig, StaticForSequenceClassification, exist_ok=True)
