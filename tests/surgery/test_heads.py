"""Attention blocks with fewer heads and narrower ones."""

import pytest
import torch

from pipestill.surgery.affine import Affine
from pipestill.surgery.heads import Heads, narrow_heads
from pipestill.surgery.moments import Moments

HIDDEN, HEADS, WIDTH = 10, 3, 4


@pytest.fixture
def inputs() -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(300, HIDDEN, generator=draw) @ torch.randn(HIDDEN, HIDDEN, generator=draw) + 1


@pytest.fixture
def moments(inputs: torch.Tensor) -> Moments:
    found = Moments(HIDDEN)
    found.add(inputs)
    return found


def block(rank: int = WIDTH, silent: int | None = None) -> Heads:
    """Draw a block whose scores and outputs have a rank; the head `silent` adds nothing."""
    draw = torch.Generator().manual_seed(1)
    parts = []
    for _ in range(3):
        heads = []
        for _ in range(HEADS):
            mix = torch.randn(WIDTH, rank, generator=draw) @ torch.randn(rank, HIDDEN + 1, generator=draw)
            heads.append(mix.double())
        stacked = torch.cat(heads)
        parts.append(Affine(stacked[:, :-1], stacked[:, -1]))
    output = torch.randn(HIDDEN, HEADS * WIDTH, generator=draw).double()
    if silent is not None:
        output[:, silent * WIDTH : (silent + 1) * WIDTH] = 0
    return Heads(*parts, Affine(output, torch.randn(HIDDEN, generator=draw).double()))


def run(heads: Heads, count: int, inputs: torch.Tensor) -> torch.Tensor:
    """Attend over all inputs as BERT does."""
    read = [inputs.double() @ part.weight.T + part.bias for part in heads[:3]]
    query, key, value = (part.view(len(inputs), count, -1).transpose(0, 1) for part in read)
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    mixed = (scores.softmax(dim=-1) @ value).transpose(0, 1).flatten(1)
    return mixed @ heads.output.weight.T + heads.output.bias


def test_dimensions_beyond_the_rank_go_and_the_output_stays(inputs: torch.Tensor, moments: Moments) -> None:
    whole = block(rank=2)
    cut = narrow_heads(whole, moments, available=HEADS, num_heads=HEADS, width=2)
    assert cut.heads.query.weight.shape == (HEADS * 2, HIDDEN)
    torch.testing.assert_close(run(cut.heads, HEADS, inputs), run(whole, HEADS, inputs), rtol=0, atol=1e-4)
    assert cut.kept_fraction == pytest.approx(1)


def test_a_head_that_adds_nothing_goes(inputs: torch.Tensor, moments: Moments) -> None:
    whole = block(silent=1)
    cut = narrow_heads(whole, moments, available=HEADS, num_heads=2, width=WIDTH)
    torch.testing.assert_close(run(cut.heads, 2, inputs), run(whole, HEADS, inputs), rtol=0, atol=1e-9)
    assert cut.kept_fraction == pytest.approx(1)


def test_all_heads_of_all_dimensions_are_the_block(moments: Moments) -> None:
    whole = block()
    cut = narrow_heads(whole, moments, available=HEADS, num_heads=HEADS, width=WIDTH)
    assert all(torch.equal(mine.weight, theirs.weight) for mine, theirs in zip(cut.heads, whole, strict=True))


def test_fewer_dimensions_are_the_best_of_their_number(inputs: torch.Tensor, moments: Moments) -> None:
    """The error on real inputs is at most that of keeping the first dimensions of each head."""
    whole = block()
    cut = narrow_heads(whole, moments, available=HEADS, num_heads=HEADS, width=2).heads
    kept = torch.cat([torch.arange(head * WIDTH, head * WIDTH + 2) for head in range(HEADS)])
    first = Heads(*(part.outputs(kept) for part in whole[:3]), Affine(whole.output.weight[:, kept], whole.output.bias))

    def value_error(heads: Heads) -> float:
        found, expected = (
            (inputs.double() @ some.value.weight.T + some.value.bias) @ some.output.weight.T for some in (heads, whole)
        )
        return float((found - expected).square().mean())

    assert 0 < value_error(cut) < value_error(first)
