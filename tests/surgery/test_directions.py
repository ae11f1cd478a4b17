"""Principal directions, against torch's own singular value decomposition."""

import pytest
import torch

from pipestill.errors import ModelError
from pipestill.surgery.directions import UNSEEN, count_occurrences, principal_directions, reduced


def table(rows: int = 50, hidden: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, hidden, generator=generator) * torch.arange(1, hidden + 1)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_directions_of_one_table_are_its_right_singular_vectors(size: int) -> None:
    vectors, (energy,) = principal_directions([(table(), torch.ones(50))], size)
    _, values, rows = torch.linalg.svd(table().double(), full_matrices=False)
    torch.testing.assert_close((vectors.T @ rows[:size].T).abs(), torch.eye(size, dtype=torch.float64))
    assert energy == pytest.approx(float(values[:size].square().sum() / values.square().sum()))
    assert (vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True)) > 0).all()


def test_no_table_outweighs_another_by_its_number_of_rows() -> None:
    along, across = torch.zeros(1000, 4), torch.zeros(2, 4)
    along[:, 0] = 1
    across[:, 1] = 2
    vectors, energy = principal_directions([(along, torch.ones(1000)), (across, torch.ones(2))], 1)
    assert vectors[:, 0].tolist() == pytest.approx([0, 1, 0, 0])
    assert energy == pytest.approx((0, 1))


def test_a_table_reduced_keeps_the_energy_it_says() -> None:
    small, energy = reduced(table(), torch.ones(50), 5)
    assert small.shape == (50, 5)
    assert small.dtype == torch.float32
    assert energy == pytest.approx(float(small.square().sum() / table().square().sum()), rel=1e-5)
    assert 0.5 < energy < 1


def test_a_table_of_the_same_size_is_a_copy() -> None:
    given = table()
    same, energy = reduced(given, torch.ones(50), 8)
    assert torch.equal(same, given)
    assert same.data_ptr() != given.data_ptr()
    assert energy == 1


def test_more_directions_than_there_are_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"(?s)embedding_size.*9.*at most 8"):
        reduced(table(), torch.ones(50), 9)


def test_a_row_counts_as_often_as_it_occurs() -> None:
    given, times = table(4), torch.tensor([3, 1, 0, 2])
    repeated = given.repeat_interleave(times, dim=0)
    vectors, (energy,) = principal_directions([(given, times)], 2)
    expected, (same,) = principal_directions([(repeated, torch.ones(6))], 2)
    torch.testing.assert_close(vectors, expected)
    assert energy == pytest.approx(same)


def test_tokens_and_positions_are_counted_without_padding() -> None:
    batches = [
        {"input_ids": torch.tensor([[2, 5, 3], [2, 3, 0]]), "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]])},
        {"input_ids": torch.tensor([[2, 5]]), "attention_mask": torch.tensor([[1, 1]])},
    ]
    found = count_occurrences(batches, num_tokens=6, num_positions=4)
    assert (found.tokens - UNSEEN).tolist() == pytest.approx([0, 0, 3, 2, 0, 2], abs=1e-6)
    assert (found.positions - UNSEEN).tolist() == pytest.approx([3, 3, 1, 0], abs=1e-6)
    assert len(count_occurrences([], num_tokens=6).tokens.unique()) == 1
