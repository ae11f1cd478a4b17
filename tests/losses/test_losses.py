"""Losses by hand-worked values, limits and invariances."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipestill.losses.cross_entropy import cross_entropy
from pipestill.losses.logit_mse import logit_mse
from pipestill.losses.soft_target_kl import soft_target_kl

LABELS = [2, 8, 20, 52]


def random_logits(rows: int, labels: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, labels, generator=torch.Generator().manual_seed(seed), dtype=torch.float32) * 3


@pytest.mark.parametrize("labels", LABELS)
def test_kl_is_the_sum_over_labels_whatever_their_number(labels: int) -> None:
    student, teacher = random_logits(4, labels, 1), random_logits(4, labels, 2)
    by_hand = []
    for row in range(4):
        p = [math.exp(x) for x in teacher[row].tolist()]
        q = [math.exp(x) for x in student[row].tolist()]
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        by_hand.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    assert soft_target_kl(student, teacher, 1.0).tolist() == pytest.approx(by_hand, rel=1e-4)


def test_kl_of_two_labels_at_temperature_two_is_the_value_worked_out_by_hand() -> None:
    # teacher logits (2 ln 3, 0) / 2 -> p = (3/4, 1/4); student logits equal -> q = (1/2, 1/2)
    # T^2 * KL = 4 * (3/4 ln(3/2) + 1/4 ln(1/2))
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    found = soft_target_kl(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]]), 2.0)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_kl_runs_from_teacher_to_student_and_not_back() -> None:
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[4.0, 0.0]])
    forth, back = soft_target_kl(student, teacher, 1.0).item(), soft_target_kl(teacher, student, 1.0).item()
    p = 1 / (1 + math.exp(-4))
    assert forth == pytest.approx(math.log(2) + p * math.log(p) + (1 - p) * math.log(1 - p), rel=1e-4)
    assert forth != pytest.approx(back, rel=0.1)


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("loss", [lambda s, t: soft_target_kl(s, t, 3.0), logit_mse])
def test_soft_losses_are_zero_for_equal_logits_and_not_changed_by_a_duplicated_batch(
    loss: Callable[[Tensor, Tensor], Tensor], labels: int
) -> None:
    student, teacher = random_logits(5, labels, 1), random_logits(5, labels, 2)
    assert loss(teacher, teacher).abs().max().item() < 1e-5
    assert (loss(student, teacher) > 0).all()
    twice = loss(torch.cat([student, student]), torch.cat([teacher, teacher]))
    assert twice.mean().item() == pytest.approx(loss(student, teacher).mean().item(), rel=1e-5)


@pytest.mark.parametrize(("scale", "temperatures"), [(1, (4.0, 16.0, 64.0)), (1 / 3, (1.0, 4.0, 16.0))])
@pytest.mark.parametrize("labels", LABELS)
def test_the_gradient_of_kl_keeps_its_size_over_temperatures(
    labels: int, scale: float, temperatures: tuple[float, ...]
) -> None:
    """From T = 1 on for logits of about 1; larger ones saturate the softmax there."""
    norms = []
    for temperature in temperatures:
        student = (random_logits(64, labels, 1) * scale).requires_grad_()
        soft_target_kl(student, random_logits(64, labels, 2) * scale, temperature).mean().backward()
        assert student.grad is not None
        norms.append(student.grad.norm().item())
    assert max(norms) / min(norms) < 1.6  # without T^2 the ratio would be near 256


@pytest.mark.parametrize("labels", LABELS)
def test_kl_at_a_high_temperature_is_the_squared_difference_of_centred_logits(labels: int) -> None:
    student, teacher = random_logits(6, labels, 1).double(), random_logits(6, labels, 2).double()
    difference = teacher - student
    difference = difference - difference.mean(dim=-1, keepdim=True)
    limit = difference.square().sum(dim=-1) / (2 * labels)
    found = soft_target_kl(student, teacher, 300.0)
    assert found.tolist() == pytest.approx(limit.tolist(), rel=0.05)


def test_logit_mse_is_the_mean_over_labels_worked_out_by_hand() -> None:
    found = logit_mse(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 0.0, 0.0]]))
    assert found.tolist() == pytest.approx([(1 + 4 + 9) / 3])


def test_cross_entropy_is_the_log_of_the_number_of_labels_for_equal_logits_and_nothing_without_a_label() -> None:
    student = torch.zeros(2, 52, requires_grad=True)
    loss = cross_entropy(student, torch.tensor([7, -1]))
    assert loss.tolist() == pytest.approx([math.log(52), 0.0])
    loss.sum().backward()
    assert student.grad is not None
    assert student.grad[1].abs().max().item() == 0


@given(st.integers(2, 60), st.integers(0, 1000), st.floats(0.5, 20))
def test_kl_is_never_negative(labels: int, seed: int, temperature: float) -> None:
    found = soft_target_kl(random_logits(3, labels, seed), random_logits(3, labels, seed + 1), temperature)
    assert (found > -1e-3).all()
