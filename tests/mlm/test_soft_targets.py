"""Soft targets over a vocabulary cut down to k tokens and the rest."""

import pytest
import torch

from pipestill.losses.soft_target_kl import soft_target_kl
from pipestill.mlm.soft_targets import TopTokens, top_token_kl, top_tokens

TOKENS = 40


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    """A student's and a teacher's, over a vocabulary."""
    torch.manual_seed(0)
    return 3 * torch.randn(12, TOKENS), 3 * torch.randn(12, TOKENS)


Logits = tuple[torch.Tensor, torch.Tensor]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_the_loss_is_the_divergence_of_k_tokens_and_the_rest_by_hand(logits: Logits, temperature: float) -> None:
    student, teacher = logits
    kept = top_tokens(teacher, 5, temperature)
    p, q = (values.div(temperature).double().softmax(-1) for values in (teacher, student))
    for position in range(len(student)):
        ids = teacher[position].argsort(descending=True)[:5]
        ours = [*p[position, ids].tolist(), 1 - p[position, ids].sum().item()]
        theirs = [*q[position, ids].tolist(), 1 - q[position, ids].sum().item()]
        by_hand = sum(
            a * (torch.tensor(a).log() - torch.tensor(b).log()).item() for a, b in zip(ours, theirs, strict=True)
        )
        found = top_token_kl(
            student[position : position + 1],
            TopTokens(kept.ids[position : position + 1], kept.log_probabilities[position : position + 1]),
            temperature,
        )
        assert found.item() == pytest.approx(temperature**2 * by_hand, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("k", [1, 5, TOKENS - 1])
def test_it_is_zero_for_an_equal_student_and_at_most_the_whole_divergence(logits: Logits, k: int) -> None:
    student, teacher = logits
    kept = top_tokens(teacher, k, 2.0)
    torch.testing.assert_close(top_token_kl(teacher, kept, 2.0), torch.zeros(12), atol=1e-5, rtol=0)
    whole = soft_target_kl(student, teacher, 2.0)
    found = top_token_kl(student, kept, 2.0)
    assert (found <= whole + 1e-5).all()
    assert (found > 0).all()
    if k == TOKENS - 1:
        torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-4)


def test_a_student_that_puts_its_mass_outside_of_the_k_tokens_pays_for_it(logits: Logits) -> None:
    _, teacher = logits
    kept = top_tokens(teacher, 5, 1.0)
    astray = teacher + 8 * torch.ones_like(teacher).scatter(-1, kept.ids, 0.0)  # the same among the five
    assert (top_token_kl(astray, kept, 1.0) > 1).all()


def test_the_mass_kept_is_right_and_falls_with_the_temperature(logits: Logits) -> None:
    _, teacher = logits
    masses = [top_tokens(teacher, 5, temperature).mass.mean().item() for temperature in (1.0, 2.0, 8.0)]
    assert masses[0] > masses[1] > masses[2]
    expected = teacher.softmax(-1).sort(descending=True).values[:, :5].sum(-1)
    torch.testing.assert_close(top_tokens(teacher, 5, 1.0).mass, expected)


def test_a_teacher_who_is_certain_leaves_no_mass_and_the_loss_and_its_gradient_stay_finite() -> None:
    teacher = torch.zeros(1, TOKENS)
    teacher[0, 7] = 200.0
    student = torch.zeros(1, TOKENS, requires_grad=True)
    loss = top_token_kl(student, top_tokens(teacher, 3, 1.0), 1.0).sum()
    loss.backward()
    assert loss.item() == pytest.approx(torch.tensor(float(TOKENS)).log().item(), rel=1e-5)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
    assert student.grad[0, 7] < 0


def test_the_gradient_has_about_the_same_size_at_every_temperature_and_reaches_no_teacher() -> None:
    torch.manual_seed(1)
    teacher = (0.1 * torch.randn(8, TOKENS)).requires_grad_()
    norms = []
    for temperature in (1.0, 4.0, 16.0):
        student = torch.zeros(8, TOKENS, requires_grad=True)
        top_token_kl(student, top_tokens(teacher, TOKENS - 1, temperature), temperature).mean().backward()
        assert student.grad is not None
        norms.append(student.grad.norm().item())
    assert max(norms) < 1.2 * min(norms)
    assert teacher.grad is None


def test_log_probabilities_kept_as_half_floats_change_the_loss_by_little(logits: Logits) -> None:
    student, teacher = logits
    kept = top_tokens(teacher, 5, 2.0)
    halves = TopTokens(kept.ids, kept.log_probabilities.half().float())
    torch.testing.assert_close(
        top_token_kl(student, halves, 2.0), top_token_kl(student, kept, 2.0), atol=5e-3, rtol=2e-3
    )
