"""What a task-agnostic student minimises, by hand."""

import math

import pytest
import torch

from pipestill.mlm.objective import HARD_ONLY, Taught, masked_loss
from pipestill.mlm.params import MlmWeights
from pipestill.mlm.soft_targets import top_token_kl, top_tokens

WEIGHTS = MlmWeights(hard_weight=2.0, soft_weight=5.0, cosine_weight=1.0)


def random_case(positions: int = 6, tokens: int = 30, hidden: int = 8) -> tuple[torch.Tensor, ...]:
    """Student's logits and hidden states, teacher's logits and hidden states, original tokens."""
    torch.manual_seed(0)
    return (
        torch.randn(positions, tokens),
        torch.randn(positions, hidden),
        torch.randn(positions, tokens),
        torch.randn(positions, hidden),
        torch.arange(positions),
    )


def test_the_loss_is_the_weighted_sum_of_its_three_parts_by_hand() -> None:
    """Two tokens, k = 1: the kept token and the rest are the whole distribution."""
    logits = torch.tensor([[math.log(3.0), 0.0]])
    teacher = torch.tensor([[2 * math.log(4.0), 0.0]])  # 0.8 and 0.2 at T = 2
    taught = Taught(top_tokens(teacher, 1, 2.0), torch.tensor([[0.0, 2.0]]), 2.0)
    found = masked_loss(logits, torch.tensor([[1.0, 1.0]]), torch.tensor([1]), taught, WEIGHTS)
    q = math.sqrt(3) / (math.sqrt(3) + 1)
    kl = 0.8 * math.log(0.8 / q) + 0.2 * math.log(0.2 / (1 - q))
    by_hand = 2 * math.log(4) + 5 * 4 * kl + (1 - 1 / math.sqrt(2))
    assert found.tolist() == pytest.approx([by_hand], rel=1e-5)


def test_soft_targets_and_cosine_are_zero_for_a_student_equal_to_its_teacher() -> None:
    _, _, logits, hidden, ids = random_case()
    taught = Taught(top_tokens(logits, 5, 2.0), 3 * hidden, 2.0)
    weights = MlmWeights(hard_weight=0.0, soft_weight=5.0, cosine_weight=1.0)
    torch.testing.assert_close(masked_loss(logits, hidden, ids, taught, weights), torch.zeros(6), atol=1e-5, rtol=0)
    other = masked_loss(logits.flip(0), hidden.flip(0), ids, taught, weights)
    assert (other > 0).all()


def test_each_weight_weighs_its_part_alone() -> None:
    logits, hidden, teacher, teacher_hidden, ids = random_case()
    taught = Taught(top_tokens(teacher, 5, 2.0), teacher_hidden, 2.0)
    parts = {
        "hard_weight": torch.nn.functional.cross_entropy(logits, ids, reduction="none"),
        "soft_weight": top_token_kl(logits, taught.top, 2.0),
        "cosine_weight": 1 - torch.nn.functional.cosine_similarity(hidden, teacher_hidden, dim=-1),
    }
    for name, part in parts.items():
        weights = MlmWeights.model_validate(dict.fromkeys(parts, 0.0) | {name: 3.0})
        torch.testing.assert_close(masked_loss(logits, hidden, ids, taught, weights), 3 * part)


def test_a_position_s_loss_depends_on_no_other_position() -> None:
    logits, hidden, teacher, teacher_hidden, ids = random_case()
    taught = Taught(top_tokens(teacher, 5, 2.0), teacher_hidden, 2.0)
    whole = masked_loss(logits, hidden, ids, taught, WEIGHTS)
    alone = Taught(top_tokens(teacher[2:3], 5, 2.0), teacher_hidden[2:3], 2.0)
    torch.testing.assert_close(masked_loss(logits[2:3], hidden[2:3], ids[2:3], alone, WEIGHTS), whole[2:3])


def test_gradients_reach_every_part_of_the_student_and_nothing_of_the_teacher() -> None:
    logits, hidden, teacher, teacher_hidden, ids = (
        tensor.requires_grad_() if tensor.is_floating_point() else tensor for tensor in random_case()
    )
    taught = Taught(top_tokens(teacher, 5, 2.0), teacher_hidden, 2.0)
    masked_loss(logits, hidden, ids, taught, WEIGHTS).sum().backward()
    for mine in (logits, hidden):
        assert mine.grad is not None
        assert mine.grad.norm() > 0
    assert teacher.grad is None
    assert teacher_hidden.grad is None


def test_without_a_teacher_only_the_original_token_counts() -> None:
    logits, hidden, _, _, ids = random_case()
    expected = torch.nn.functional.cross_entropy(logits, ids, reduction="none")
    torch.testing.assert_close(masked_loss(logits, hidden, ids, None, HARD_ONLY), expected)


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one weight must be above 0"):
        MlmWeights(hard_weight=0.0, soft_weight=0.0, cosine_weight=0.0)
