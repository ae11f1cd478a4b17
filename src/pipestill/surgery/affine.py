"""Affine maps, and their refit on some of their inputs by least squares.

With x the inputs, m and C their mean and covariance on real rows, and S the kept inputs, the map W x + b becomes the
one of x_S with the smallest expected squared error, the linear regression of its outputs on x_S:

    V x_S + c   with   V = W C[:, S] C[S, S]^-1   and   c = b + W m - V m_S
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipestill.surgery.moments import Moments, ridge


class Affine(NamedTuple):
    """A map W x + b in float64.

    Attributes:
        weight: matrix W, `[output, input]`.
        bias: vector b, `[output]`.
    """

    weight: Float[Tensor, "output input"]
    bias: Float[Tensor, " output"]

    @classmethod
    def of(cls, module: nn.Linear) -> "Affine":
        """Read the map of a linear module."""
        return cls(module.weight.detach().double(), module.bias.detach().double())

    def outputs(self, kept: Int[Tensor, " kept"]) -> "Affine":
        """Return the map to some of the outputs."""
        return Affine(self.weight[kept], self.bias[kept])

    def write(self, module: nn.Linear) -> None:
        """Set a linear module to this map."""
        with torch.no_grad():
            module.weight.copy_(self.weight)
            module.bias.copy_(self.bias)


class Refit(NamedTuple):
    """A map of some of the inputs of another.

    Attributes:
        map: map of the kept inputs.
        explained_fraction: share of the variance of the other's outputs that it reproduces.
    """

    map: Affine
    explained_fraction: float


def refit(whole: Affine, moments: Moments, kept: Int[Tensor, " kept"]) -> Refit:
    """Refit a map on some of its inputs; see the module.

    Args:
        whole: map of all inputs.
        moments: mean and covariance of the inputs.
        kept: inputs to keep, in ascending order; all of them leave the map unchanged.
    """
    mean, covariance = moments.mean, moments.covariance
    weight = whole.weight
    if len(kept) < len(mean):
        among = covariance[kept][:, kept] + ridge(covariance) * torch.eye(len(kept)).double()
        weight = torch.linalg.solve(among, covariance[kept] @ whole.weight.T).T
    missing = whole.weight.clone()
    missing[:, kept] -= weight
    total = (whole.weight @ covariance * whole.weight).sum()
    lost = (missing @ covariance * missing).sum() / total.clamp(min=1e-300)
    return Refit(Affine(weight, whole.bias + missing @ mean), float(1 - lost.clamp(0, 1)))
