"""`gru_transformer`: a bidirectional GRU under Transformer encoder layers, in the place of position embeddings.

    e = dropout(norm(embedding(ids)))                      [batch, token, embedding_size]
    x = norm(GRU(e))                                       [batch, token, hidden_size], half of it each direction
    x = layer_i(x), i = 1..n                               BERT's layers, padding masked
    p = x[:, 0] or the mean of x over the tokens           [batch, hidden_size]
    logits = classifier(dropout(p))                        [batch, label]

The GRU tells positions apart, so any length can be read. hidden_states[0] is what the first Transformer layer reads,
hidden_states[i] what layer i returns.
"""

from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import BertLayer

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


class GruTransformerForSequenceClassification(PreTrainedModel):
    """See the module."""

    config: GruTransformerConfig
    config_class = GruTransformerConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: GruTransformerConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.word_embeddings = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=config.pad_token_id)
        self.embedding_norm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.gru = nn.GRU(config.embedding_size, config.hidden_size // 2, batch_first=True, bidirectional=True)
        self.gru_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

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
        embedded = self.dropout(self.embedding_norm(self.word_embeddings(input_ids)))
        states = [self.gru_norm(read_packed(self.gru, embedded, attention_mask)[0])]
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=states[0], attention_mask=attention_mask)
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        logits = self.classifier(self.dropout(self._pool(states[-1], attention_mask)))
        return SequenceClassifierOutput(logits=logits, hidden_states=tuple(states) if output_hidden_states else None)

    def _pool(self, state: Tensor, attention_mask: Tensor | None) -> Tensor:
        if self.config.pooling == "first":
            return state[:, 0]
        if attention_mask is None:
            return state.mean(dim=1)
        weight = attention_mask.to(state.dtype).unsqueeze(-1)
        return (state * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


AutoConfig.register(GruTransformerConfig.model_type, GruTransformerConfig, exist_ok=True)
AutoModelForSequenceClassification.register(
    GruTransformerConfig, GruTransformerForSequenceClassification, exist_ok=True
)
