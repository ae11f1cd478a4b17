"""The other losses on logits by hand-worked values, limits and invariances."""

import math

import pytest
import torch
from test_losses import LABELS, random_logits

from pipestill.losses.probability_mse import probability_mse
from pipestill.losses.soft_target_cross_entropy import soft_target_cross_entropy
from pipestill.losses.soft_target_kl import soft_target_kl
from pipestill.losses.teacher_label_cross_entropy import teacher_label_cross_entropy


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
@pytest.mark.parametrize("labels", LABELS)
def test_cross_entropy_is_kl_and_the_teacher_s_entropy_and_has_the_same_gradient(
    labels: int, temperature: float
) -> None:
    teacher = random_logits(5, labels, 2)
    p = (teacher / temperature).softmax(dim=-1)
    entropy = temperature**2 * -(p * p.log()).sum(dim=-1)
    gradients = []
    for loss in (soft_target_cross_entropy, soft_target_kl):
        student = random_logits(5, labels, 1).requires_grad_()
        value = loss(student, teacher, temperature)
        value.sum().backward()
        gradients.append(student.grad)
        expected = soft_target_kl(student, teacher, temperature)
        if loss is soft_target_cross_entropy:
            expected = expected + entropy
        torch.testing.assert_close(value, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)


def test_cross_entropy_of_two_labels_is_the_value_worked_out_by_hand() -> None:
    # teacher (2 ln 3, 0) / 2 -> p = (3/4, 1/4); equal student logits -> q = (1/2, 1/2): T^2 * ln 2
    found = soft_target_cross_entropy(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]]), 2.0)
    assert found.item() == pytest.approx(4 * math.log(2), rel=1e-5)


def test_probability_mse_is_the_sum_over_labels_worked_out_by_hand() -> None:
    # p = (3/4, 1/4), q = (1/2, 1/2): T^2 * (1/16 + 1/16)
    found = probability_mse(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]]), 2.0)
    assert found.item() == pytest.approx(4 * 2 / 16, rel=1e-5)
    two_of_many = torch.full((1, 52), -1e4)
    student, teacher = two_of_many.clone(), two_of_many.clone()
    student[0, 0] = teacher[0, 51] = 0.0
    assert probability_mse(student, teacher, 1.0).item() == pytest.approx(2.0), "never divided by the number of labels"


@pytest.mark.parametrize("loss", [soft_target_cross_entropy, probability_mse])
def test_the_gradient_keeps_its_size_over_temperatures(loss: object) -> None:
    norms = []
    for temperature in (8.0, 32.0, 128.0):
        student = random_logits(64, 8, 1).requires_grad_()
        assert callable(loss)
        loss(student, random_logits(64, 8, 2), temperature).mean().backward()
        assert student.grad is not None
        norms.append(student.grad.norm().item())
    assert max(norms) / min(norms) < 1.6  # without T^2 the ratio would be near 256


@pytest.mark.parametrize("labels", LABELS)
def test_the_teacher_s_label_counts_and_not_how_sure_it_is(labels: int) -> None:
    student, teacher = random_logits(4, labels, 1), random_logits(4, labels, 2)
    found = teacher_label_cross_entropy(student, teacher)
    by_hand = [
        math.log(sum(math.exp(x) for x in row)) - row[label]
        for row, label in zip(student.tolist(), teacher.argmax(dim=-1).tolist(), strict=True)
    ]
    assert found.tolist() == pytest.approx(by_hand, rel=1e-4), "summed over labels, never divided by their number"
    torch.testing.assert_close(teacher_label_cross_entropy(student, teacher * 0.01), found)


def test_the_teacher_s_label_is_what_soft_targets_become_at_a_low_temperature() -> None:
    student, teacher = random_logits(6, 8, 1), random_logits(6, 8, 2)
    sharp = soft_target_cross_entropy(student, 1e3 * teacher, 1.0)
    torch.testing.assert_close(teacher_label_cross_entropy(student, teacher), sharp, atol=1e-4, rtol=1e-4)
