"""Fewer attention heads, and fewer dimensions in each, with the smallest error on real rows.

A head compares x and y by the score (Q x + q)' (K y + k), and adds O (V y + v) to the output. Any invertible map
between Q and K, or between V and O, leaves both unchanged, so that dimensions are free to be mixed: the best score with
fewer of them is the truncated SVD of [Q q]' [K k] between inputs (x, 1) of unit second moment, and the best output that
of O [V v] (Eckart and Young 1936). Kept heads are those whose output O [V v] has the most energy.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipestill.surgery.affine import Affine
from pipestill.surgery.moments import Moments, ridge


class Heads(NamedTuple):
    """The four maps of an attention block.

    Attributes:
        query: map to the queries of all heads, `[head * dimension, hidden]`; the other two are alike.
        key: map to the keys.
        value: map to the values.
        output: map from the values of all heads, `[hidden, head * dimension]`.
    """

    query: Affine
    key: Affine
    value: Affine
    output: Affine


class NarrowHeads(NamedTuple):
    """An attention block with less in it.

    Attributes:
        heads: maps of the narrower block.
        kept_fraction: share of the energy of the heads' outputs that is kept.
    """

    heads: Heads
    kept_fraction: float


class _Head(NamedTuple):
    """One head; the last column of the first three maps is their bias."""

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor


def narrow_heads(whole: Heads, moments: Moments, *, available: int, num_heads: int, width: int) -> NarrowHeads:
    """Cut an attention block to some heads of some width; see the module.

    Args:
        whole: maps of the block.
        moments: mean and covariance of its inputs.
        available: number of heads it has.
        num_heads: heads to keep, in their order.
        width: dimensions of each, at most those it has; all of them leave a head unchanged.
    """
    root = _second_moment_root(moments)
    heads = _split(whole, available)
    energies = torch.stack([(head.output @ head.value @ root).square().sum() for head in heads])
    kept = torch.sort(energies, descending=True, stable=True).indices[:num_heads].sort().values
    inverse = torch.linalg.inv(root)
    cut = [
        heads[number] if width == len(heads[0].query) else _cut(heads[number], root, inverse, width) for number in kept
    ]
    left = sum(((head.output @ head.value @ root).square().sum() for head in cut), torch.zeros(()).double())
    return NarrowHeads(_join(cut, whole.output.bias), float(left / energies.sum().clamp(min=1e-300)))


def _split(whole: Heads, available: int) -> list[_Head]:
    read = (torch.cat([part.weight, part.bias[:, None]], dim=1) for part in (whole.query, whole.key, whole.value))
    parts = [torch.chunk(part, available) for part in read]
    return [_Head(*head) for head in zip(*parts, torch.chunk(whole.output.weight, available, dim=1), strict=True)]


def _join(heads: list[_Head], bias: Tensor) -> Heads:
    query, key, value, output = zip(*heads, strict=True)
    read = [Affine(part[:, :-1], part[:, -1]) for part in (torch.cat(query), torch.cat(key), torch.cat(value))]
    return Heads(read[0], read[1], read[2], Affine(torch.cat(output, dim=1), bias))


def _second_moment_root(moments: Moments) -> Float[Tensor, "augmented augmented"]:
    """Return L with L L' the second moment of (x, 1), `[hidden + 1, hidden + 1]`."""
    covariance = moments.covariance
    size = len(covariance)
    root = torch.zeros(size + 1, size + 1).double()
    root[:-1, :-1] = torch.linalg.cholesky(covariance + ridge(covariance) * torch.eye(size).double())
    root[:-1, -1], root[-1, -1] = moments.mean, 1.0
    return root


def _cut(head: _Head, root: Tensor, inverse: Tensor, width: int) -> _Head:
    queries, keys = _truncated((head.query @ root).T @ (head.key @ root), width)
    outputs, values = _truncated(head.output @ head.value @ root, width)
    # Scores are divided by the root of a head's width, which is smaller now.
    scale = (width / len(head.query)) ** 0.5
    return _Head(scale * queries.T @ inverse, keys @ inverse, values @ inverse, outputs)


def _truncated(product: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return the two factors of the best approximation of a matrix by one of rank `width`, of equal norms."""
    left, strength, right = torch.linalg.svd(product, full_matrices=False)
    balance = strength[:width].sqrt()
    return left[:, :width] * balance, balance[:, None] * right[:width]
