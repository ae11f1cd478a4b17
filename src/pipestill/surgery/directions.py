"""The directions in which rows of numbers vary most: truncated singular value decomposition.

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
    """Find the directions that several tables need most; each table counts by its mean row, whatever its rows.

    Args:
        tables: float `[row, hidden]` each.
        size: how many directions, at most hidden.

    Returns:
        The right singular vectors of the tables on top of each other, each divided by the root of its rows. The
        largest entry of a vector is positive, so that its sign does not depend on the solver.

    Raises:
        ModelError: there are fewer directions than asked for.
    """
    rows = [table.detach().double() for table in tables]
    hidden = rows[0].shape[1]
    if size > hidden:
        raise ModelError(
            "embedding_size is more than the initial model's embeddings have",
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
    """A table with fewer columns, and the share of its energy that they keep.

    Args:
        table: float32 `[row, hidden]`.
        size: columns of the new table; as many as there are leave the table as it is.

    Returns:
        float32 `[row, size]` and a fraction.

    Raises:
        ModelError: the table has fewer columns than asked for.
    """
    if size == table.shape[1]:
        return table.detach().clone(), 1.0
    vectors, (energy,) = principal_directions([table], size)
    return (table.detach().double() @ vectors).to(table.dtype), energy
