"""The base of our own classifiers: a token table, and the interface to transformers."""

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class TokenTableClassifier(PreTrainedModel):
    """Base of a classifier that reads a table of tokens; a subclass ends its `__init__` with `post_init()`.

    Attributes:
        is_normalised: whether its layers are normalised, as transformers' initialisation of 0.02 expects; else
            PyTorch's own initialisation is used.
    """

    base_model_prefix = "encoder"
    _supports_sdpa = True
    is_normalised: ClassVar[bool] = True

    def __init__(self, config: PreTrainedConfig, embedding_size: int) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.word_embeddings = nn.Embedding(config.vocab_size, embedding_size, padding_idx=config.pad_token_id)

    def _init_weights(self, module: nn.Module) -> None:
        if self.is_normalised:
            super()._init_weights(module)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token table."""
        return self.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token table."""
        self.word_embeddings = value

    @abstractmethod
    def classify(self, input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute logits `[batch, label]` and hidden states `[batch, token, hidden]`; see `forward` for arguments."""

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
            input_ids: token ids, int64 `[batch, token]`.
            attention_mask: int64 `[batch, token]`, 1 on tokens, 0 on the padding behind them.
            output_hidden_states: whether to return hidden states; each architecture documents its own.

        Returns:
            Logits float32 `[batch, label]`.
        """
        logits, states = self.classify(input_ids, attention_mask)
        return SequenceClassifierOutput(logits=logits, hidden_states=states if output_hidden_states else None)


def register(config: type[PreTrainedConfig], model: type[TokenTableClassifier]) -> None:
    """Make a model known to transformers by its `model_type`."""
    AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModelForSequenceClassification.register(config, model, exist_ok=True)
