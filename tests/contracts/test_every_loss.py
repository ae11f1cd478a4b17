"""What every registered loss owes, whoever adds it."""

import importlib
from dataclasses import replace

import pytest
import torch
from every_loss import (
    ALL,
    OF_FEATURES,
    ROWS,
    SIZES,
    SOFT,
    all_of,
    gradient_size,
    inputs,
    make,
    mapped,
    name_of,
    padded,
    some_rows,
    taught_by_itself,
)

from pipestill.errors import ModelError
from pipestill.losses._base import new_projection, per_row, reads
from pipestill.losses._features import Sizes
from pipestill.losses.params import LossSpec
from pipestill.tasks.targets import NO_LABEL

ABOVE_ZERO = {"soft_target_cross_entropy"}
"""Losses whose minimum is the teacher's entropy."""
OF_DECISIONS = {"teacher_label_cross_entropy"}
"""Losses that read which label the teacher takes and not how sure it is: least for a student that is quite sure."""

OF_FIRST_TOKENS = [kind for kind in OF_FEATURES if reads(make(kind), SIZES, SIZES).tokens == "first"]

every = pytest.mark.parametrize("kind", ALL, ids=name_of)
soft = pytest.mark.parametrize("kind", SOFT, ids=name_of)
of_features = pytest.mark.parametrize("kind", OF_FEATURES, ids=name_of)


@every
def test_a_loss_is_one_finite_number_a_row_that_depends_on_that_row_alone(kind: type[LossSpec]) -> None:
    whole = inputs()
    loss = per_row(make(kind), whole)
    assert loss.shape == (ROWS,)
    assert loss.dtype == torch.float32
    assert loss.isfinite().all()
    for row in range(ROWS):
        alone = per_row(make(kind), some_rows(whole, slice(row, row + 1)))
        assert alone.item() == pytest.approx(loss[row].item(), rel=1e-4, abs=1e-6)


@every
def test_a_loss_teaches_the_student_and_never_the_teacher(kind: type[LossSpec]) -> None:
    given = inputs()
    loss = per_row(make(kind), given)
    assert (loss[:-1] > 0).all(), "a random student has something to learn"
    loss.sum().backward()
    assert gradient_size(all_of(given.student_logits, given.student_features)) > 0
    assert gradient_size(all_of(given.teacher_logits, given.teacher_features)) == 0


@soft
def test_a_soft_loss_is_least_and_has_no_gradient_where_student_and_teacher_are_equal(kind: type[LossSpec]) -> None:
    given = inputs()
    if name_of(kind) in OF_DECISIONS:
        given = replace(given, student_logits=(given.student_logits.detach() * 1e3).requires_grad_())
    equal = per_row(make(kind), taught_by_itself(given))
    if name_of(kind) not in ABOVE_ZERO:
        assert equal.abs().max().item() < 1e-5
    equal.sum().backward()
    assert gradient_size(all_of(given.student_logits, given.student_features)) < 1e-3


@soft
def test_a_soft_loss_needs_no_label_and_says_so_when_it_has_no_teacher(kind: type[LossSpec]) -> None:
    given = inputs()
    without = replace(given, label_ids=torch.full((ROWS,), NO_LABEL))
    assert torch.equal(per_row(make(kind), without), per_row(make(kind), given))
    with pytest.raises(ValueError, match=r"needs the teacher's"):
        per_row(make(kind), replace(given, teacher_logits=None, teacher_features=None))


@every
@pytest.mark.parametrize("value", [1e3, float("nan")])
def test_what_stands_at_padding_reaches_neither_the_loss_nor_a_gradient(kind: type[LossSpec], value: float) -> None:
    given = inputs()
    short = per_row(make(kind), given)
    long = per_row(make(kind), padded(given, 32, value))
    torch.testing.assert_close(long, short, atol=1e-5, rtol=1e-5)
    long.sum().backward()
    for tensor in all_of(given.student_logits, given.student_features):
        assert tensor.grad is None or tensor.grad.isfinite().all()


@every
def test_a_batch_twice_has_twice_the_same_losses(kind: type[LossSpec]) -> None:
    given = inputs()
    twice = some_rows(given, slice(None))
    double = replace(
        twice,
        student_logits=torch.cat([given.student_logits] * 2),
        teacher_logits=torch.cat([given.teacher_logits] * 2) if given.teacher_logits is not None else None,
        label_ids=torch.cat([given.label_ids] * 2),
        attention_mask=torch.cat([given.attention_mask] * 2) if given.attention_mask is not None else None,
        student_features=mapped(given.student_features, lambda tensor: torch.cat([tensor] * 2)),
        teacher_features=mapped(given.teacher_features, lambda tensor: torch.cat([tensor] * 2)),
    )
    once = per_row(make(kind), given)
    torch.testing.assert_close(per_row(make(kind), double), torch.cat([once, once]), atol=1e-6, rtol=1e-5)


@of_features
def test_a_loss_reads_exactly_the_sites_it_declares(kind: type[LossSpec]) -> None:
    given = inputs()
    sites = reads(make(kind), SIZES, SIZES)
    assert sites.student
    assert sites.teacher
    assert given.student_features is not None
    assert given.teacher_features is not None
    per_row(make(kind), given).sum().backward()
    used = {site for site, tensor in given.student_features.tensors.items() if tensor.grad is not None}
    assert used == sites.student
    for site in sites.teacher:
        fewer = {key: tensor for key, tensor in given.teacher_features.tensors.items() if key != site}
        with pytest.raises(KeyError):
            per_row(make(kind), replace(given, teacher_features=replace(given.teacher_features, tensors=fewer)))
    only = {site: given.teacher_features.tensors[site] for site in sites.teacher}
    per_row(make(kind), replace(given, teacher_features=replace(given.teacher_features, tensors=only)))


@pytest.mark.parametrize("kind", OF_FIRST_TOKENS, ids=name_of)
def test_a_loss_of_first_tokens_reads_no_other_token(kind: type[LossSpec]) -> None:
    given = inputs()
    first = replace(given, teacher_features=mapped(given.teacher_features, lambda tensor: tensor[:, :1]))
    assert torch.equal(per_row(make(kind), first), per_row(make(kind), given))


@of_features
def test_a_teacher_of_another_width_is_met_by_a_projection_or_needs_none(kind: type[LossSpec]) -> None:
    wide = Sizes(num_layers=3, hidden_size=24, num_heads=2)
    given = inputs(wide)
    assert new_projection(make(kind), SIZES, SIZES) is None
    torch.manual_seed(0)
    projection = new_projection(make(kind), SIZES, wide)
    loss = per_row(make(kind), replace(given, projection=projection))
    assert (loss > 0).all()
    loss.sum().backward()
    for parameter in projection.parameters() if projection else ():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
    long = per_row(make(kind), replace(padded(given, 32, float("nan")), projection=projection))
    torch.testing.assert_close(long, loss, atol=1e-5, rtol=1e-5)


@of_features
def test_the_check_of_params_knows_which_losses_read_the_first_token_alone(kind: type[LossSpec]) -> None:
    assert (reads(make(kind), SIZES, SIZES).tokens == "first") == kind.first_token_only


@of_features
def test_a_student_without_layers_is_refused_by_name_of_what_is_there(kind: type[LossSpec]) -> None:
    with pytest.raises(ModelError, match="expected"):
        reads(make(kind), Sizes(num_layers=0, hidden_size=16, num_heads=0), SIZES)


@every
def test_the_module_of_a_loss_says_its_formula_shapes_unit_and_zero_point(kind: type[LossSpec]) -> None:
    module = importlib.import_module(f"pipestill.losses.{name_of(kind)}")
    text = " ".join((module.__doc__ or "").split())
    for word in (
        "loss =",
        "`[batch, token, hidden]`" if kind.asks_features else "`[batch, label]`",
        "Unit:",
        "Zero when",
    ):
        assert word in text, f"{module.__name__} does not say {word}"
