"""Feed-forward units chosen and refitted: held against least squares and against the whole block."""

import pytest
import torch

from pipestill.surgery.moments import Moments
from pipestill.surgery.units import choose, prune


def block(num_tokens: int = 400) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Activations of eight units `[token, unit]`, and weight and bias of what reads them."""
    draw = torch.Generator().manual_seed(0)
    units = torch.randn(num_tokens, 8, generator=draw)
    return units + 3, torch.randn(5, 8, generator=draw), torch.randn(5, generator=draw)


def moments_of(units: torch.Tensor) -> Moments:
    moments = Moments(units.shape[1])
    for part in units.split(150):
        moments.add(part)
    return moments


def written(units: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return units @ weight.T + bias


def test_moments_of_parts_are_those_of_the_whole() -> None:
    units, _, _ = block()
    moments = moments_of(units)
    torch.testing.assert_close(moments.mean.float(), units.mean(dim=0))
    torch.testing.assert_close(moments.covariance.float(), torch.cov(units.T, correction=0), atol=1e-5, rtol=1e-4)


def test_all_units_kept_is_the_block_itself() -> None:
    units, weight, bias = block()
    found = prune(weight, bias, moments_of(units), 8)
    assert found.kept.tolist() == [*range(8)]
    torch.testing.assert_close(found.weight, weight)
    torch.testing.assert_close(found.bias, bias)
    assert found.explained_fraction == pytest.approx(1)


def test_what_units_that_stay_can_say_of_those_that_go_they_say() -> None:
    """Three units are sums of others plus a constant, so five say what eight said."""
    units, weight, bias = block()
    units[:, 5] = 2 * units[:, 0] - units[:, 1]
    units[:, 6] = units[:, 2] + 7
    units[:, 7] = 4.0
    found = prune(weight, bias, moments_of(units), 5)
    torch.testing.assert_close(
        written(units[:, found.kept], found.weight, found.bias), written(units, weight, bias), atol=3e-2, rtol=1e-2
    )
    assert found.explained_fraction > 1 - 1e-5
    assert 7 not in found.kept.tolist(), "a constant is the bias's to say"


def test_the_weights_are_those_of_least_squares_and_the_share_is_what_they_explain() -> None:
    units, weight, bias = block()
    found = prune(weight, bias, moments_of(units), 4)
    target = written(units, weight, bias)
    inputs = torch.cat([units[:, found.kept], torch.ones(len(units), 1)], dim=1)
    best = torch.linalg.lstsq(inputs, target).solution.T
    torch.testing.assert_close(found.weight, best[:, :-1], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.bias, best[:, -1], atol=1e-2, rtol=1e-3)
    left = target - written(units[:, found.kept], found.weight, found.bias)
    explained = 1 - left.square().sum() / (target - target.mean(dim=0)).square().sum()
    assert found.explained_fraction == pytest.approx(float(explained), abs=1e-4)


def test_each_choice_is_the_one_that_explains_most_of_what_is_left() -> None:
    """Unit 0 alone moves most; unit 1 says nearly the same, so the second choice is unit 2, not unit 1."""
    reader = torch.eye(3, dtype=torch.float64)
    covariance = torch.tensor([[9.0, 8.9, 0.0], [8.9, 8.9, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    assert choose(reader, covariance, 1).tolist() == [0]
    assert choose(reader, covariance, 2).tolist() == [0, 2]


def test_of_equal_units_the_earlier_is_kept_and_silent_ones_are_kept_last() -> None:
    reader, covariance = torch.eye(4, dtype=torch.float64), torch.diag(torch.tensor([0.0, 1.0, 1.0, 1.0])).double()
    assert choose(reader, covariance, 2).tolist() == [1, 2]
    assert choose(reader, covariance, 4).tolist() == [0, 1, 2, 3]
