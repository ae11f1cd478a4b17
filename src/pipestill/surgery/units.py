"""Fewer feed-forward units that say together what all of them said.

A feed-forward block writes W h + b, where h are its units' activations. With some of the units, K, it can come as near
as

    min over V, c of  E |W h + b - V h_K - c|^2   =   tr(W S W^T) - tr(W S_K S_KK^-1 S_K^T W^T)

S is the covariance of h over the tokens of real rows, and S_K its columns of the units that stay. V = W S_K S_KK^-1 are
the weights of those units, refitted so that they say what is linearly in them of the units that go; c takes up the
means. Which units stay is chosen one by one, each time the one that explains most of what is still unexplained (forward
selection, as in orthogonal matching pursuit). After Kwon et al. 2022 (arXiv:2204.09656), who prune by a mask and refit
it on a few rows; there a unit keeps the direction of its weights, here they are free.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

RIDGE = 1e-6
"""Added to the covariance as a fraction of its mean diagonal: units that hardly vary have no direction to explain."""


class Moments:
    """The mean and the covariance of vectors that come in parts.

    Args:
        size: of a vector.
    """

    def __init__(self, size: int) -> None:
        self._count = 0
        self._sum = torch.zeros(size, dtype=torch.float64)
        self._products = torch.zeros(size, size, dtype=torch.float64)

    def add(self, vectors: Float[Tensor, "token unit"]) -> None:
        """Take in more vectors."""
        self._count += len(vectors)
        self._sum += vectors.sum(dim=0).double()
        self._products += (vectors.T @ vectors).double()

    @property
    def mean(self) -> Float[Tensor, " unit"]:
        """Float64 `[unit]`; of one vector at least."""
        return self._sum / self._count

    @property
    def covariance(self) -> Float[Tensor, "unit unit"]:
        """Float64 `[unit, unit]`; of one vector at least."""
        return self._products / self._count - torch.outer(self.mean, self.mean)


class Thinned(NamedTuple):
    """What is left of a feed-forward block.

    Attributes:
        kept: the units that stay, int64 `[unit]` in ascending order.
        weight: what reads them, `[hidden, unit]`.
        bias: `[hidden]`.
        explained_fraction: of the variance of what the whole block writes.
    """

    kept: Int[Tensor, " unit"]
    weight: Float[Tensor, "hidden unit"]
    bias: Float[Tensor, " hidden"]
    explained_fraction: float


def thin(weight: Float[Tensor, "hidden unit"], bias: Float[Tensor, " hidden"], moments: Moments, count: int) -> Thinned:
    """Keep some units and refit what reads them; see the module.

    Args:
        weight: what reads the units.
        bias: what is added.
        moments: of the units' activations.
        count: how many units stay; all of them stay as they are.
    """
    reader, mean, covariance = weight.detach().double(), moments.mean, moments.covariance
    kept = choose(reader, covariance, count)
    among = covariance[kept][:, kept]
    refitted = torch.linalg.solve(among + _ridge(covariance) * torch.eye(count).double(), covariance[kept] @ reader.T).T
    if count == len(mean):
        refitted = reader
    missing = reader.clone()
    missing[:, kept] -= refitted
    total = (reader @ covariance * reader).sum()
    unexplained = (missing @ covariance * missing).sum() / total.clamp(min=1e-300)
    return Thinned(
        kept=kept,
        weight=refitted.to(weight.dtype),
        bias=(bias.detach().double() + missing @ mean).to(bias.dtype),
        explained_fraction=float(1 - unexplained.clamp(0, 1)),
    )


def choose(
    reader: Float[Tensor, "hidden unit"], covariance: Float[Tensor, "unit unit"], count: int
) -> Int[Tensor, " unit"]:
    """Choose units by forward selection; of equal ones the earlier.

    Each step takes the unit whose part that no chosen unit explains moves the block's output most, and takes out of all
    others what it explains of them.

    Args:
        reader: float64.
        covariance: float64.
        count: how many, at most all.

    Returns:
        Their numbers in ascending order.
    """
    ridge = _ridge(covariance)
    variance = covariance.diagonal().clone()  # of what is unexplained of each unit
    seen = reader @ covariance  # how that moves each output
    gains = seen.square().sum(dim=0)  # times the variance
    directions = torch.empty(count, len(covariance), dtype=covariance.dtype)  # what each chosen unit explains of all
    available = torch.ones(len(covariance), dtype=torch.bool)
    for step in range(count):
        unit = int((gains / (variance + ridge)).where(available, -1.0).argmax())
        available[unit] = False
        # Of what is unexplained one row is read: the covariance's, less what the chosen directions explain of it.
        chosen = directions[:step]
        direction = (covariance[unit] - chosen[:, unit] @ chosen) / (variance[unit] + ridge).sqrt()
        directions[step] = direction
        moved = reader @ direction
        gains += direction * (moved.square().sum() * direction - 2 * (moved @ seen))
        seen.addr_(moved, direction, alpha=-1.0)
        variance -= direction.square()
    return (~available).nonzero().squeeze(1)


def _ridge(covariance: Tensor) -> float:
    return max(RIDGE * float(covariance.diagonal().mean()), 1e-300)
