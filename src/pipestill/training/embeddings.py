"""Shrinking a token table: pruning it to some tokens, or factorising it into two narrow matrices.

Factorised (teacher/embeddings.py) the table E becomes T P^T with T = E Q and P = Q, where Q are the `size` principal
directions of E, whose rows count as often as texts have them (surgery/directions.py): of all such products the closest
in squared error on these texts. P's columns are orthonormal, so T's rows are as long as E's were.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipestill.errors import ModelError
from pipestill.surgery.directions import count_occurrences, principal_directions
from pipestill.teacher.embeddings import WHOLE_EMBEDDING, FactorisedEmbedding, insert_embedding, token_table


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
    table = token_table(model)
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
            next_step=WHOLE_EMBEDDING,
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
    table = token_table(model)
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
    insert_embedding(model, embedding, size)
    return energy
