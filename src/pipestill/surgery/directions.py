"""Principal directions of rows of numbers, by truncated singular value decomposition.

Of a table T `[row, hidden]` with singular vectors v_1, v_2, ... the first d span the space in which T loses least:
T ~ T V V^T with V = (v_1 ... v_d) (Eckart and Young 1936). The energy kept is ||T V||^2 / ||T||^2, a fraction.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipestill.errors import ModelError


class Directions(NamedTuple):
    """Orthonormal columns `[hidden, size]`, strongest first, and the share of each table's energy in them."""

    vectors: Tensor
    energy_fractions: tuple[float, ...]


def principal_directions(tables: Sequence[Tensor], size: int) -> Directions:
    """Find the joint principal directions of several tables, weighted equally whatever their numbers of rows.

    Args:
        tables: tables of floats, `[row, hidden]` each.
        size: number of directions, at most hidden.

    Returns:
        The right singular vectors of the tables on top of each other, each divided by the root of its rows. The
        largest entry of a vector is positive, so that its sign does not depend on the solver.

    Raises:
        ModelError: the tables have fewer directions than size.
    """
    rows = [table.detach().double() for table in tables]
    hidden = rows[0].shape[1]
    if size > hidden:
        raise ModelError(
            "embedding_size exceeds the width of the initial model's embeddings",
            found=size,
            expected=f"at most {hidden}",
            next_step="lower embedding_size of this student in params.yaml",
        )
    gram = torch.stack([table.T @ table / len(table) for table in rows]).sum(dim=0)
    vectors = torch.linalg.eigh(gram).eigenvectors.flip(1)[:, :size]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    vectors = vectors * largest.sign()
    kept = [float((table @ vectors).square().sum() / table.square().sum().clamp(min=1e-300)) for table in rows]
    return Directions(vectors, tuple(min(share, 1.0) for share in kept))


def reduced(table: Tensor, size: int) -> tuple[Tensor, float]:
    """Reduce a table to fewer columns, and return the share of energy kept.

    Args:
        table: table to reduce, float32 `[row, hidden]`.
        size: columns of the new table; hidden leaves the table unchanged.

    Returns:
        The table, float32 `[row, size]`, and a fraction.

    Raises:
        ModelError: the table has fewer columns than size.
    """
    if size == table.shape[1]:
        return table.detach().clone(), 1.0
    vectors, (energy,) = principal_directions([table], size)
    return (table.detach().double() @ vectors).to(table.dtype), energy
