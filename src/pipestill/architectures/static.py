"""`static`: a weighted bag of token embeddings and a small perceptron, which ignores the order of tokens.

    w = softmax over the text's tokens of importance(ids)  [batch, token], 0 at padding
    b = sum over tokens of w * embedding(ids)              [batch, embedding_size]
    logits = classifier(dropout(relu(dense(b))))           [batch, label]

`importance` is one learned number a token of the vocabulary, 0 at first: then b is the mean. hidden_states[0] are the
embeddings, `[batch, token, embedding_size]`; there are no layers and there is no attention.
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from pipestill.architectures._base import TokenTableClassifier, register


class StaticConfig(PreTrainedConfig):
    """Sizes of the model; hidden_size is the width of its only hidden states, the embeddings."""

    model_type = "static"

    vocab_size: int = 30522
    hidden_size: int = 128
    dense_size: int = 128
    num_hidden_layers: int = 0
    hidden_dropout_prob: float = 0.1
    pad_token_id: int | None = 0


class StaticForSequenceClassification(TokenTableClassifier):
    """See the module."""

    config: StaticConfig
    config_class = StaticConfig
    is_normalised = False

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config, config.hidden_size)
        self.importance = nn.Embedding(config.vocab_size, 1)
        nn.init.zeros_(self.importance.weight)
        self.dense = nn.Linear(config.hidden_size, config.dense_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.dense_size, config.num_labels)
        self.post_init()

    def classify(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Classify a batch; see the module, and `TokenTableClassifier`."""
        embedded = self.word_embeddings(input_ids)
        scores = self.importance(input_ids).squeeze(-1)
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask == 0, torch.finfo(scores.dtype).min)
        bag = torch.bmm(scores.softmax(dim=1).unsqueeze(1), embedded).squeeze(1)
        logits = self.classifier(self.dropout(self.dense(bag).relu()))
        return logits, (embedded,)


register(StaticConfig, StaticForSequenceClassification)
