"""Losses of features by hand-worked values, and the layer maps."""

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from pipestill.errors import ModelError
from pipestill.losses._base import reads
from pipestill.losses._features import Sizes
from pipestill.losses._layers import layer_pairs
from pipestill.losses._products import products_kl, scaled_products
from pipestill.losses.attention_kl import attention_kl
from pipestill.losses.attention_scores_mse import attention_scores_mse
from pipestill.losses.hidden_mse import hidden_mse
from pipestill.losses.last_hidden_cosine import last_hidden_cosine
from pipestill.losses.minilm_relations import relation_kl
from pipestill.losses.params import Loss
from pipestill.losses.patient_kd import patient_kd
from pipestill.sites import Site

REAL = torch.tensor([[True, True, False]])


def sizes(layers: int, hidden: int = 8, heads: int = 2) -> Sizes:
    return Sizes(num_layers=layers, hidden_size=hidden, num_heads=heads)


def test_cosine_is_averaged_over_the_real_tokens() -> None:
    student = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]]])
    teacher = torch.tensor([[[5.0, 0.0], [0.0, 3.0], [9.0, 9.0]]])
    assert last_hidden_cosine(student, teacher, REAL).item() == pytest.approx((0 + 1) / 2)
    assert last_hidden_cosine(student, -student, REAL).item() == pytest.approx(2.0)


def test_hidden_mse_is_averaged_over_real_tokens_and_width() -> None:
    student = torch.tensor([[[1.0, 2.0], [0.0, 0.0], [7.0, 7.0]]])
    found = hidden_mse(student, torch.zeros(1, 3, 2), REAL)
    assert found.item() == pytest.approx((1 + 4) / 4)


def test_patient_kd_is_a_squared_distance_on_the_sphere() -> None:
    student = torch.tensor([[3.0, 0.0], [1.0, 1.0], [-2.0, 0.0], [4.0, 0.0]])
    found = patient_kd(student, torch.tensor([[0.0, 5.0], [7.0, 0.0], [1.0, 0.0], [2.0, 0.0]]))
    assert found.tolist() == pytest.approx([2.0, 2 - math.sqrt(2), 4.0, 0.0], abs=1e-6)


def test_attention_scores_are_products_over_the_root_of_a_head_s_width() -> None:
    query = torch.tensor([[[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]])
    key = torch.tensor([[[1.0, 1.0, 2.0, 0.0], [3.0, 0.0, 0.0, 4.0]]])
    expected = torch.tensor([[[[3.0, 3.0], [1.0, 0.0]], [[0.0, 4.0], [2.0, 0.0]]]]) / math.sqrt(2)
    torch.testing.assert_close(scaled_products(query, key, 2), expected)


def test_attention_scores_mse_counts_pairs_of_real_tokens_only() -> None:
    student, teacher = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    student[0, 0, 0, 1] = 2.0
    teacher[0, 1, 1, 1] = 1.0
    student[0, :, 2, :] = student[0, :, :, 2] = 50.0
    assert attention_scores_mse(student, teacher, REAL).item() == pytest.approx((4 + 1) / (2 * 4))


def test_attention_kl_runs_from_teacher_to_student_over_real_tokens() -> None:
    # of the first token the teacher's attention is (3/4, 1/4), the student's (1/2, 1/2); the second token's are equal
    teacher = torch.zeros(1, 1, 3, 3)
    teacher[0, 0, 0, 0] = math.log(3)
    teacher[0, 0, :, 2] = 9.0
    one = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert attention_kl(torch.zeros(1, 1, 3, 3), teacher, REAL).item() == pytest.approx(one / 2, rel=1e-5)


def test_the_heads_of_attention_are_averaged() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(1, 4, 3, 3, generator=generator) for _ in range(2))
    each = [products_kl(student[:, head, None], teacher[:, head, None], REAL).item() for head in range(4)]
    assert products_kl(student, teacher, REAL).item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_relations_are_softmaxed_products_of_a_part_with_itself() -> None:
    # one relation head of width 1: the student's values (1, 0), the teacher's all 0
    student = torch.tensor([[[1.0], [0.0], [3.0]]])
    first = [math.e / (math.e + 1), 1 / (math.e + 1)]  # the first token's relation; the second's is (1/2, 1/2)
    expected = sum(0.5 * math.log(0.5 / q) for q in first) / 2
    assert relation_kl(student, torch.zeros(1, 3, 4), REAL, 1).item() == pytest.approx(expected, rel=1e-5)


def test_relations_of_other_widths_and_heads_compare() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 3, width, generator=generator) for width in (12, 24))
    real = torch.ones(2, 3, dtype=torch.bool)
    losses = [relation_kl(student, teacher, real, heads).sum().item() for heads in (1, 3, 6, 12)]
    assert len({round(loss, 5) for loss in losses}) == 4
    assert min(losses) > 0


@pytest.mark.parametrize(
    ("layers", "first", "pairs"),
    [
        ("uniform", 0, ((0, 0), (1, 2), (2, 4), (3, 6))),
        ("uniform", 1, ((1, 2), (2, 4), (3, 6))),
        (((-1, -1), (0, 0), (1, -2)), 0, ((3, 6), (0, 0), (1, 5))),
    ],
)
def test_a_layer_map_is_a_list_of_pairs(layers: Any, first: int, pairs: tuple[tuple[int, int], ...]) -> None:
    assert layer_pairs(layers, sizes(3), sizes(6), first=first) == pairs


def test_uniform_rounds_and_ends_with_the_last() -> None:
    assert layer_pairs("uniform", sizes(4), sizes(6), first=1) == ((1, 2), (2, 3), (3, 5), (4, 6))


@pytest.mark.parametrize("pair", [(4, 1), (1, 7), (0, 1), (-4, 1)])
def test_a_layer_that_is_not_there_is_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=r"(?s)names a layer that is not there.*student layers 1 to 3"):
        layer_pairs((pair,), sizes(3), sizes(6), first=1)


def parse(**settings: Any) -> Any:
    return TypeAdapter(Loss).validate_python(settings)


@pytest.mark.parametrize("kind", ["attention_scores_mse", "attention_kl"])
def test_attention_with_other_heads_is_refused_before_training(kind: str) -> None:
    with pytest.raises(ModelError, match=r"(?s)student heads 2, teacher heads 4.*minilm_relations"):
        reads(parse(kind=kind, layers="uniform"), sizes(3), sizes(6, heads=4))


def test_relation_heads_that_do_not_divide_the_widths_are_refused() -> None:
    spec = parse(kind="minilm_relations", parts=["value"], relation_heads=3, student_layer=-1, teacher_layer=-1)
    with pytest.raises(ModelError, match=r"3 heads, widths 8 and 12"):
        reads(spec, sizes(3), sizes(6, hidden=12))
    assert reads(spec, sizes(3, hidden=9), sizes(6, hidden=12)).teacher == {Site("value", 6)}


@pytest.mark.parametrize("layers", ["first", [[1]], [[1, 2, 3]], [["a", 1]], 3])
def test_a_layer_map_that_is_none_is_refused(layers: Any) -> None:
    with pytest.raises(ValidationError):
        parse(kind="hidden_mse", layers=layers)
