"""Principal directions of tables of vectors whose rows count as often as they occur, by truncated singular values.

Of a table T `[row, hidden]` whose row i occurs w_i times, the singular vectors v_1, v_2, ... of diag(w)^1/2 T span the
spaces in which T, read that often, loses least: T ~ T V V^T with V = (v_1 ... v_d) (Eckart and Young 1936). The energy
kept is sum w_i |T_i V|^2 / sum w_i |T_i|^2, a fraction. Most tokens of a vocabulary hardly occur in texts of one kind:
of MiniLM's table, 128 directions that count each token once keep 47% of the energy that movie reviews read, and those
that count occurrences 87%.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipestill.errors import ModelError

UNSEEN = 0.1
"""Occurrences that are added to those of each row, so that rows that were not seen count a little."""


class Occurrences(NamedTuple):
    """Occurrences in texts of the rows of a model's tables, `UNSEEN` added to each.

    Attributes:
        tokens: of each token, float64 `[token]`.
        positions: of each position, float64 `[position]`.
    """

    tokens: Float[Tensor, " token"]
    positions: Float[Tensor, " position"]


def count_occurrences(
    batches: Sequence[Mapping[str, Tensor]], *, num_tokens: int, num_positions: int = 0
) -> Occurrences:
    """Count the occurrences of tokens and positions in rows; without rows, all get the same number.

    Args:
        batches: input_ids and attention_mask, both int64 `[batch, token]`.
        num_tokens: rows of the token table.
        num_positions: rows of the position table.
    """
    tokens, positions = torch.full((num_tokens,), UNSEEN).double(), torch.full((num_positions,), UNSEEN).double()
    for batch in batches:
        is_token = batch["attention_mask"].bool()
        tokens += torch.bincount(batch["input_ids"][is_token], minlength=num_tokens)
        reached = is_token.sum(dim=0)[:num_positions]
        positions[: len(reached)] += reached
    return Occurrences(tokens, positions)


class Directions(NamedTuple):
    """Orthonormal columns `[hidden, size]`, strongest first, and the share of each table's energy in them."""

    vectors: Tensor
    energy_fractions: tuple[float, ...]


def principal_directions(tables: Sequence[tuple[Tensor, Tensor]], size: int) -> Directions:
    """Find the joint principal directions of several tables, which count equally whatever their numbers of rows.

    Args:
        tables: floats `[row, hidden]`, and the occurrences of each row, `[row]`.
        size: number of directions, at most hidden.

    Returns:
        The right singular vectors of the tables on top of each other, see the module. The largest entry of a vector is
        positive, so that its sign does not depend on the solver.

    Raises:
        ModelError: the tables have fewer directions than size.
    """
    hidden = tables[0][0].shape[1]
    if size > hidden:
        raise ModelError(
            "embedding_size exceeds the width of the initial model's embeddings",
            found=size,
            expected=f"at most {hidden}",
            next_step="lower embedding_size of this student in params.yaml",
        )
    scaled = [(weights.double() / weights.sum()).sqrt()[:, None] * rows.detach().double() for rows, weights in tables]
    gram = torch.stack([table.T @ table for table in scaled]).sum(dim=0)
    vectors = torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :size]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    vectors = vectors * largest.sign()
    kept = [float((table @ vectors).square().sum() / table.square().sum().clamp(min=1e-300)) for table in scaled]
    return Directions(vectors, tuple(min(share, 1.0) for share in kept))


def reduced(table: Tensor, occurrences: Float[Tensor, " row"], size: int) -> tuple[Tensor, float]:
    """Reduce a table to fewer columns, and return the share of energy kept.

    Args:
        table: table to reduce, float32 `[row, hidden]`.
        occurrences: occurrences of each row.
        size: columns of the new table; hidden leaves the table unchanged.

    Returns:
        The table, float32 `[row, size]`, and a fraction.

    Raises:
        ModelError: the table has fewer columns than size.
    """
    if size == table.shape[1]:
        return table.detach().clone(), 1.0
    vectors, (energy,) = principal_directions([(table, occurrences)], size)
    return (table.detach().double() @ vectors).to(table.dtype), energy
