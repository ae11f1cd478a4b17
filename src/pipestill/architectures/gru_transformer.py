"""`gru_transformer`: a bidirectional GRU under Transformer encoder layers, in place of position embeddings.

    e = dropout(norm(embedding(ids)))                      [batch, token, embedding_size]
    x = norm(GRU(e))                                       [batch, token, hidden_size], half of it each direction
    x = layer_i(x), i = 1..n                               BERT's layers, padding masked
    p = x[:, 0] or the mean of x over the tokens           [batch, hidden_size]
    logits = classifier(dropout(p))                        [batch, label]

The GRU encodes positions, so that inputs of any length can be read. hidden_states[0] is the input of the first
Transformer layer, hidden_states[i] the output of layer i.
"""

from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.masking_utils import create_bidirectional_mask
from transformers.models.bert.modeling_bert import BertLayer

from pipestill.architectures._base import TokenTableClassifier, register
from pipestill.architectures._recurrent import read_packed


class GruTransformerConfig(PreTrainedConfig):
    """Sizes of the model; the names are those of BERT's config where they mean the same."""

    model_type = "gru_transformer"

    vocab_size: int = 30522
    embedding_size: int = 128
    hidden_size: int = 128
    num_hidden_layers: int = 1
    num_attention_heads: int = 4
    intermediate_size: int = 256
    pooling: str = "mean"
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    is_decoder: bool = False
    add_cross_attention: bool = False


class GruTransformerForSequenceClassification(TokenTableClassifier):
    """See the module."""

    config: GruTransformerConfig
    config_class = GruTransformerConfig
    _supports_attention_backend = True

    def __init__(self, config: GruTransformerConfig) -> None:
        super().__init__(config, config.embedding_size)
        self.embedding_norm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.gru = nn.GRU(config.embedding_size, config.hidden_size // 2, batch_first=True, bidirectional=True)
        self.gru_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def classify(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Classify a batch; see the module, and `TokenTableClassifier`."""
        embedded = self.dropout(self.embedding_norm(self.word_embeddings(input_ids)))
        states = [self.gru_norm(read_packed(self.gru, embedded, attention_mask)[0])]
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=states[0], attention_mask=attention_mask)
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        logits = self.classifier(self.dropout(self._pool(states[-1], attention_mask)))
        return logits, tuple(states)

    def _pool(self, state: Tensor, attention_mask: Tensor | None) -> Tensor:
        if self.config.pooling == "first":
            return state[:, 0]
        if attention_mask is None:
            return state.mean(dim=1)
        weight = attention_mask.to(state.dtype).unsqueeze(-1)
        return (state * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


register(GruTransformerConfig, GruTransformerForSequenceClassification)
