"""What every registered loss owes, whoever adds it."""

from typing import Any, get_args

import pytest
import torch
from pydantic import BaseModel, TypeAdapter

from pipestill.losses import Loss
from pipestill.losses._base import NO_LABEL, LossInputs, LossSpec

SETTINGS: dict[str, Any] = {"temperature": 2.0, "weight": 1.0}


ALL: list[type[LossSpec]] = list(get_args(get_args(Loss)[0]))
SOFT = [kind for kind in ALL if kind.asks_teacher]


def make(kind: type[BaseModel]) -> LossSpec:
    """A specification with every setting the class asks for."""
    settings = {name: SETTINGS[name] for name in kind.model_fields if name != "kind"}
    name = get_args(kind.model_fields["kind"].annotation)[0]
    spec: LossSpec = TypeAdapter(kind).validate_python({"kind": name, **settings})
    return spec


def inputs(rows: int = 6, labels: int = 5) -> LossInputs:
    generator = torch.Generator().manual_seed(3)
    label_ids = torch.randint(0, labels, (rows,), generator=generator)
    label_ids[-1] = NO_LABEL
    return LossInputs(
        student_logits=torch.randn(rows, labels, generator=generator).requires_grad_(),
        teacher_logits=torch.randn(rows, labels, generator=generator).requires_grad_(),
        label_ids=label_ids,
    )


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_a_loss_is_one_finite_number_a_row_that_depends_on_that_row_alone(kind: type[LossSpec]) -> None:
    whole = inputs()
    loss = make(kind).per_row(whole)
    assert loss.shape == (6,)
    assert loss.isfinite().all()
    assert whole.teacher_logits is not None
    for row in range(6):
        alone = LossInputs(
            whole.student_logits[row : row + 1], whole.teacher_logits[row : row + 1], whole.label_ids[row : row + 1]
        )
        assert make(kind).per_row(alone).item() == pytest.approx(loss[row].item(), rel=1e-5)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_a_loss_teaches_the_student_and_never_the_teacher(kind: type[LossSpec]) -> None:
    given = inputs()
    make(kind).per_row(given).sum().backward()
    assert given.student_logits.grad is not None
    assert given.student_logits.grad.abs().sum() > 0
    assert given.teacher_logits is not None
    assert given.teacher_logits.grad is None


@pytest.mark.parametrize("kind", SOFT, ids=lambda kind: kind.__name__)
def test_a_soft_loss_needs_no_label_and_says_so_when_it_has_no_teacher(kind: type[LossSpec]) -> None:
    given = inputs()
    without = LossInputs(given.student_logits, given.teacher_logits, torch.full((6,), NO_LABEL))
    assert torch.equal(make(kind).per_row(without), make(kind).per_row(given))
    with pytest.raises(ValueError, match=r"needs the teacher"):
        make(kind).per_row(LossInputs(given.student_logits, None, given.label_ids))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_module_of_a_loss_says_its_formula_shapes_unit_and_zero_point(kind: type[LossSpec]) -> None:
    import importlib

    module = importlib.import_module(kind.__module__)
    assert module.__name__.rpartition(".")[2] == get_args(kind.model_fields["kind"].annotation)[0]
    text = module.__doc__ or ""
    for word in ("loss =", "`[batch, label]`", "Unit:", "Zero when"):
        assert word in text, f"{module.__name__} does not say {word}"
