"""What every registered student architecture owes, whoever adds it."""

from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter

from pipestill.errors import ModelError
from pipestill.students import StudentKind
from pipestill.students._base import StudentSpec
from pipestill.teacher import Classifier, save_classifier
from pipestill.teacher.classifier import load_classifier

SETTINGS: dict[str, Any] = {"layers": [0, 2]}


def members() -> list[type[StudentSpec]]:
    """The classes of the registration: a union of several, or the one."""
    if isinstance(StudentKind, type):
        return [StudentKind]
    first = get_args(StudentKind)[0]
    return list(get_args(first)) or [first]


def make(kind: type[StudentSpec]) -> StudentSpec:
    """A specification with every setting the class asks for."""
    settings = {name: SETTINGS[name] for name in kind.model_fields if name != "kind"}
    name = get_args(kind.model_fields["kind"].annotation)[0]
    assert kind.__module__ == f"pipestill.students.{name}"
    spec: StudentSpec = TypeAdapter(kind).validate_python({"kind": name, **settings})
    return spec


@pytest.mark.parametrize("kind", members(), ids=lambda kind: kind.__name__)
def test_a_student_is_smaller_than_its_teacher_and_says_the_same_after_saving(
    kind: type[StudentSpec], teacher: Classifier, tmp_path: Any
) -> None:
    torch.manual_seed(0)
    model = make(kind).build(teacher.model).eval()
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in teacher.model.parameters())
    save_classifier(Classifier(model, teacher.tokenizer, teacher.labels, ""), tmp_path)
    again = load_classifier(tmp_path)
    assert again.labels == teacher.labels
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    with torch.no_grad():
        torch.testing.assert_close(again.model(ids).logits, model(ids).logits)


@pytest.mark.parametrize("kind", members(), ids=lambda kind: kind.__name__)
def test_a_student_is_built_the_same_twice_and_can_be_trained(kind: type[StudentSpec], teacher: Classifier) -> None:
    built = []
    for _ in range(2):
        torch.manual_seed(0)
        built.append(make(kind).build(teacher.model))
    for one, two in zip(built[0].parameters(), built[1].parameters(), strict=True):
        assert torch.equal(one, two)
    built[0](torch.tensor([[2, 7, 3]])).logits.sum().backward()
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in built[0].parameters())


@pytest.mark.parametrize("kind", members(), ids=lambda kind: kind.__name__)
def test_what_lies_at_padded_positions_changes_no_logit(kind: type[StudentSpec], teacher: Classifier) -> None:
    torch.manual_seed(0)
    model = make(kind).build(teacher.model).eval()
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0]])
    with torch.no_grad():
        padded = model(torch.tensor([[2, 7, 8, 3, 0, 0, 0]]), attention_mask=mask).logits
        garbage = model(torch.tensor([[2, 7, 8, 3, 9, 10, 11]]), attention_mask=mask).logits
        short = model(torch.tensor([[2, 7, 8, 3]])).logits
    torch.testing.assert_close(padded, garbage, atol=1e-5, rtol=0)
    torch.testing.assert_close(padded, short, atol=1e-5, rtol=0)


def test_an_architecture_that_does_not_fit_is_a_model_error(teacher: Classifier) -> None:
    spec = TypeAdapter(StudentKind).validate_python({"kind": "bert_layers", "layers": [9]})
    with pytest.raises(ModelError):
        spec.build(teacher.model)
