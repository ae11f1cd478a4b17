"""Structured pruning of feed-forward units, with the kept weights refit by least squares to reproduce the full layer.

A feed-forward block computes W h + b, where h are its units' activations. With a subset K of the units, the smallest
expected squared error is

    min over V, c of  E |W h + b - V h_K - c|^2   =   tr(W S W^T) - tr(W S_K S_KK^-1 S_K^T W^T)

S is the covariance of h over the tokens of real rows, and S_K its columns of the kept units. V = W S_K S_KK^-1 are the
refit weights of the kept units and c corrects the means (surgery/affine.py). Units are chosen one by one, each time the
one that explains most of the remaining error (forward selection, as in orthogonal matching pursuit). After Kwon et al.
2022 (arXiv:2204.09656), who prune by a mask and refit it on a few rows; there a unit keeps the direction of its
weights, here they are free.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipestill.surgery.affine import Affine, refit
from pipestill.surgery.moments import Moments, ridge


class PrunedUnits(NamedTuple):
    """A pruned feed-forward block.

    Attributes:
        kept: kept units, int64 `[unit]` in ascending order.
        weight: refit output weights of the kept units, `[hidden, unit]`.
        bias: refit bias of the output, `[hidden]`.
        explained_fraction: share of the variance of the whole block's output that is reproduced.
    """

    kept: Int[Tensor, " unit"]
    weight: Float[Tensor, "hidden unit"]
    bias: Float[Tensor, " hidden"]
    explained_fraction: float


def prune(
    weight: Float[Tensor, "hidden unit"], bias: Float[Tensor, " hidden"], moments: Moments, count: int
) -> PrunedUnits:
    """Keep some units and refit their output weights; see the module.

    Args:
        weight: output weights of the units.
        bias: bias of the output.
        moments: mean and covariance of the units' activations.
        count: number of units to keep; all units leave the block unchanged.
    """
    reader = weight.detach().double()
    kept = choose(reader, moments.covariance, count)
    found = refit(Affine(reader, bias.detach().double()), moments, kept)
    return PrunedUnits(
        kept=kept,
        weight=found.map.weight.to(weight.dtype),
        bias=found.map.bias.to(bias.dtype),
        explained_fraction=found.explained_fraction,
    )


def choose(
    reader: Float[Tensor, "hidden unit"], covariance: Float[Tensor, "unit unit"], count: int
) -> Int[Tensor, " unit"]:
    """Choose units by forward selection; of equal ones the earlier.

    Each step takes the unit whose residual, unexplained by the chosen units, has the largest effect on the block's
    output, and subtracts the part of the other units that it explains.

    Args:
        reader: output weights of the units, float64.
        covariance: covariance of the units' activations, float64.
        count: number of units to choose, at most all.

    Returns:
        The units' numbers in ascending order.
    """
    least = ridge(covariance)
    variance = covariance.diagonal().clone()  # residual variance of each unit
    seen = reader @ covariance  # effect of the residual on each output
    gains = seen.square().sum(dim=0)  # times the variance
    directions = torch.empty(
        count, len(covariance), dtype=covariance.dtype
    )  # part of each unit that a chosen unit explains
    available = torch.ones(len(covariance), dtype=torch.bool)
    for step in range(count):
        unit = int((gains / (variance + least)).where(available, -1.0).argmax())
        available[unit] = False
        # Only one row of the residual covariance is needed: the covariance's, minus the part the chosen directions
        # explain.
        chosen = directions[:step]
        direction = (covariance[unit] - chosen[:, unit] @ chosen) / (variance[unit] + least).sqrt()
        directions[step] = direction
        moved = reader @ direction
        gains += direction * (moved.square().sum() * direction - 2 * (moved @ seen))
        seen.addr_(moved, direction, alpha=-1.0)
        variance -= direction.square()
    return (~available).nonzero().squeeze(1)
