"""Maps refit on some of their inputs."""

import pytest
import torch

from pipestill.surgery.affine import Affine, refit
from pipestill.surgery.moments import Moments


@pytest.fixture
def vectors() -> torch.Tensor:
    """Rows of x_0, x_1 and x_2 = x_0 + 2 x_1 + 3."""
    free = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    return torch.cat([free, free[:, :1] + 2 * free[:, 1:] + 3], dim=1)


@pytest.fixture
def moments(vectors: torch.Tensor) -> Moments:
    found = Moments(3)
    found.add(vectors)
    return found


@pytest.fixture
def whole() -> Affine:
    draw = torch.Generator().manual_seed(1)
    return Affine(torch.randn(5, 3, generator=draw).double(), torch.randn(5, generator=draw).double())


def outputs(found: Affine, inputs: torch.Tensor) -> torch.Tensor:
    return inputs.double() @ found.weight.T + found.bias


def test_an_input_that_others_determine_can_go(vectors: torch.Tensor, moments: Moments, whole: Affine) -> None:
    cut = refit(whole, moments, torch.tensor([0, 1]))
    torch.testing.assert_close(outputs(cut.map, vectors[:, :2]), outputs(whole, vectors), rtol=0, atol=5e-2)
    assert cut.explained_fraction == pytest.approx(1, abs=1e-4)


def test_a_refit_is_the_linear_regression_on_the_kept_inputs(
    vectors: torch.Tensor, moments: Moments, whole: Affine
) -> None:
    cut = refit(whole, moments, torch.tensor([2]))
    design = torch.cat([vectors[:, 2:].double(), torch.ones(len(vectors), 1).double()], dim=1)
    solution = torch.linalg.lstsq(design, outputs(whole, vectors)).solution
    torch.testing.assert_close(cut.map.weight, solution[:1].T, rtol=2e-3, atol=1e-3)
    torch.testing.assert_close(cut.map.bias, solution[1], rtol=2e-3, atol=1e-2)
    residual = outputs(whole, vectors) - design @ solution
    variance = outputs(whole, vectors).var(dim=0, unbiased=False).sum()
    assert cut.explained_fraction == pytest.approx(1 - float(residual.square().sum(dim=1).mean() / variance), abs=1e-3)


def test_all_inputs_leave_the_map_unchanged(moments: Moments, whole: Affine) -> None:
    cut = refit(whole, moments, torch.arange(3))
    assert torch.equal(cut.map.weight, whole.weight)
    torch.testing.assert_close(cut.map.bias, whole.bias)
    assert cut.explained_fraction == 1


def test_some_dimensions_have_the_moments_of_their_part(vectors: torch.Tensor, moments: Moments) -> None:
    part = moments.of(torch.tensor([0, 2]))
    alone = Moments(2)
    alone.add(vectors[:, [0, 2]])
    torch.testing.assert_close(part.mean, alone.mean)
    torch.testing.assert_close(part.covariance, alone.covariance)
