"""A token embedding of two narrow matrices (ALBERT, arXiv:1909.11942), as a classifier's folder may name it.

E [token, hidden] ~ T P^T with T [token, size] and P [hidden, size]: V*d + d*H weights for V*H.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipestill.errors import ModelError

FACTOR_FIELD = "factorised_embedding_size"
"""The field of config.json with the width of a factorised token embedding."""
WHOLE_EMBEDDING = "set the student's vocabulary and embedding to kind: full"
"""The next step of an error about a table that cannot be made smaller."""


class FactorisedEmbedding(nn.Module):
    """A lookup in a narrow table, and a linear map from there to the model's width.

    Args:
        num_embeddings: number of tokens.
        size: width of the narrow table.
        embedding_dim: width of the embeddings.
        padding_idx: token id whose row is not trained, as in `nn.Embedding`.
    """

    def __init__(self, num_embeddings: int, size: int, embedding_dim: int, padding_idx: int | None) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.table = nn.Embedding(num_embeddings, size, padding_idx=padding_idx)
        self.projection = nn.Linear(size, embedding_dim, bias=False)

    def forward(self, input_ids: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token hidden"]:
        """Embed token ids."""
        embedded: Tensor = self.projection(self.table(input_ids))
        return embedded


def insert_factorised_embedding(model: PreTrainedModel) -> None:
    """Give a model built from its config alone the factorised embedding that the config names; weights are random."""
    table = token_table(model)
    size = int(getattr(model.config, FACTOR_FIELD))
    embedding = FactorisedEmbedding(table.num_embeddings, size, table.embedding_dim, table.padding_idx)
    insert_embedding(model, embedding, size)


def insert_embedding(model: PreTrainedModel, embedding: FactorisedEmbedding, size: int) -> None:
    """Make a factorised embedding the token embedding of a model, and name its width in the config."""
    model.set_input_embeddings(embedding)
    setattr(model.config, FACTOR_FIELD, size)


def token_table(model: PreTrainedModel) -> nn.Embedding:
    """Return the token embedding of a model.

    Raises:
        ModelError: it is not an `nn.Embedding`.
    """
    table = model.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        raise ModelError(
            f"the token embedding of {type(model).__name__} cannot be made smaller",
            found=type(table).__name__,
            expected="an nn.Embedding",
            next_step=WHOLE_EMBEDDING,
        )
    return table
