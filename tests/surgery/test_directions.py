"""Principal directions, against torch's own singular value decomposition."""

import pytest
import torch

from pipestill.errors import ModelError
from pipestill.surgery.directions import principal_directions, reduced


def table(rows: int = 50, hidden: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, hidden, generator=generator) * torch.arange(1, hidden + 1)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_directions_of_one_table_are_its_right_singular_vectors(size: int) -> None:
    vectors, (energy,) = principal_directions([table()], size)
    _, values, rows = torch.linalg.svd(table().double(), full_matrices=False)
    torch.testing.assert_close((vectors.T @ rows[:size].T).abs(), torch.eye(size, dtype=torch.float64))
    assert energy == pytest.approx(float(values[:size].square().sum() / values.square().sum()))
    assert (vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True)) > 0).all()


def test_no_table_outweighs_another_by_its_number_of_rows() -> None:
    along, across = torch.zeros(1000, 4), torch.zeros(2, 4)
    along[:, 0] = 1
    across[:, 1] = 2
    vectors, energy = principal_directions([along, across], 1)
    assert vectors[:, 0].tolist() == pytest.approx([0, 1, 0, 0])
    assert energy == pytest.approx((0, 1))


def test_a_table_reduced_keeps_the_energy_it_says() -> None:
    small, energy = reduced(table(), 5)
    assert small.shape == (50, 5)
    assert small.dtype == torch.float32
    assert energy == pytest.approx(float(small.square().sum() / table().square().sum()), rel=1e-5)
    assert 0.5 < energy < 1


def test_a_table_of_the_same_size_is_a_copy() -> None:
    given = table()
    same, energy = reduced(given, 8)
    assert torch.equal(same, given)
    assert same.data_ptr() != given.data_ptr()
    assert energy == 1


def test_more_directions_than_there_are_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"(?s)embedding_size.*9.*at most 8"):
        reduced(table(), 9)
