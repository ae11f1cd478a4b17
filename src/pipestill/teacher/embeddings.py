"""Shrinking a model's embedding table: pruning it to some tokens, or factorising it into two narrow matrices.

Factorised (ALBERT, arXiv:1909.11942): E [token, hidden] ~ T P^T with T [token, size] and P [hidden, size], which is
V*d + d*H weights for V*H. T = E Q and P = Q with Q the `size` principal directions of E, whose rows count as often as
texts have them (surgery/directions.py): of all such products the closest in squared error on these texts. P's columns
are orthonormal, so T's rows are as long as E's were.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipestill.errors import ModelError
from pipestill.surgery.directions import count_occurrences, principal_directions

FACTOR_FIELD = "factorised_embedding_size"
"""The field of config.json with the width of a factorised token embedding."""
_NEXT_STEP = "set the student's vocabulary and embedding to kind: full"


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


def pick_tokens(model: PreTrainedModel, kept: Sequence[int]) -> int:
    """Keep the embeddings of some tokens, in place; token `kept[i]` gets the id `i`, in the config too.

    Args:
        model: model whose token embedding is an `nn.Embedding`.
        kept: token ids to keep, ascending.

    Returns:
        The bytes removed from the table, as float32.

    Raises:
        ModelError: the embedding is of another kind, lacks one of the ids, or the model counts positions from its
            padding id and that would change.
    """
    table = _table(model)
    new = {old: index for index, old in enumerate(kept)}
    if kept[-1] >= table.num_embeddings:
        raise ModelError(
            "the tokenizer has tokens without an embedding in the model",
            found=f"id {kept[-1]}",
            expected=f"ids below {table.num_embeddings}",
        )
    padding = table.padding_idx
    counts_from_padding = any(  # RoBERTa and related models
        getattr(module, "padding_idx", None) is not None for module in model.modules() if module is not table
    )
    if counts_from_padding and padding is not None and new.get(padding) != padding:
        raise ModelError(
            "the model counts positions from its padding id, which pruning would change",
            found=f"padding id {padding} would become {new.get(padding)}",
            next_step=_NEXT_STEP,
        )
    picked = nn.Embedding(len(kept), table.embedding_dim, padding_idx=None if padding is None else new.get(padding))
    picked.weight = nn.Parameter(table.weight.detach()[torch.as_tensor(kept)].clone())
    model.set_input_embeddings(picked)
    model.config.vocab_size = len(kept)
    for name, value in model.config.to_dict().items():
        if name.endswith("_token_id") and isinstance(value, int):
            setattr(model.config, name, new.get(value))
    return (table.weight.numel() - picked.weight.numel()) * table.weight.element_size()


def factorise_embedding(model: PreTrainedModel, size: int, batches: Sequence[Mapping[str, Tensor]] = ()) -> float:
    """Replace the token embedding of a model by its best factorised approximation, in place.

    Args:
        model: model whose token embedding is an `nn.Embedding`.
        size: width of the narrow table.
        batches: rows whose tokens choose the directions; all tokens count the same without rows.

    Returns:
        The energy kept, 0 to 1; see surgery/directions.py.

    Raises:
        ModelError: the embedding is of another kind, or two matrices of this size would not be smaller than the one.
    """
    table = _table(model)
    tokens, hidden = table.weight.shape
    if tokens * size + size * hidden >= tokens * hidden:
        raise ModelError(
            "a factorised embedding of this size would not be smaller",
            found=f"size {size} for {tokens} tokens of width {hidden}",
            expected=f"a size of at most {(tokens * hidden - 1) // (tokens + hidden)}",
            next_step="lower the size, or set the student's embedding to kind: full",
        )
    occurrences = count_occurrences(batches, num_tokens=tokens).tokens
    vectors, (energy,) = principal_directions([(table.weight, occurrences)], size)
    embedding = FactorisedEmbedding(tokens, size, hidden, table.padding_idx)
    with torch.no_grad():
        embedding.table.weight.copy_(table.weight.double() @ vectors)
        embedding.projection.weight.copy_(vectors)
    _insert(model, embedding, size)
    return energy


def insert_factorised_embedding(model: PreTrainedModel) -> None:
    """Give a model built from its config alone the factorised embedding that the config names; weights are random."""
    table = _table(model)
    size = int(getattr(model.config, FACTOR_FIELD))
    embedding = FactorisedEmbedding(table.num_embeddings, size, table.embedding_dim, table.padding_idx)
    _insert(model, embedding, size)


def _insert(model: PreTrainedModel, embedding: FactorisedEmbedding, size: int) -> None:
    model.set_input_embeddings(embedding)
    setattr(model.config, FACTOR_FIELD, size)


def _table(model: PreTrainedModel) -> nn.Embedding:
    table = model.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        raise ModelError(
            f"the token embedding of {type(model).__name__} cannot be made smaller",
            found=type(table).__name__,
            expected="an nn.Embedding",
            next_step=_NEXT_STEP,
        )
    return table
