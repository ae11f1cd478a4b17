"""DistilBERT made of a BERT's layers."""

import pytest
import torch

from pipestill.students._base import build_architecture
from pipestill.students.bert_layers import pick_layers
from pipestill.students.params import DistilbertSpec
from pipestill.teacher import TorchClassifier

IDS = torch.tensor([[2, 7, 8, 9, 3, 0], [2, 12, 3, 0, 0, 0]])
MASK = (IDS != 0).long()


@pytest.mark.parametrize("layers", [(0, 1, 2, 3), (3, 1), (2, 2)])
def test_its_last_hidden_state_is_that_of_the_same_layers_in_the_teacher(
    teacher: TorchClassifier, layers: tuple[int, ...]
) -> None:
    student = build_architecture(DistilbertSpec(kind="distilbert", layers=layers), teacher.model).model.eval()
    same = pick_layers(teacher.model, layers).eval()
    with torch.no_grad():
        mine = student(IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
        theirs = same(IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    assert len(mine) == len(theirs) == len(layers) + 1
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one[MASK.bool()], other[MASK.bool()], rtol=0, atol=1e-5)


def test_the_head_s_weights_are_the_teacher_s(teacher: TorchClassifier) -> None:
    student = build_architecture(DistilbertSpec(kind="distilbert", layers=(0,)), teacher.model).model
    assert torch.equal(student.pre_classifier.weight, teacher.model.bert.pooler.dense.weight)
    assert torch.equal(student.classifier.weight, teacher.model.classifier.weight)
    assert student.config.id2label == teacher.model.config.id2label


def test_the_teacher_shares_nothing_with_it(teacher: TorchClassifier) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.model.state_dict().items()}
    student = build_architecture(DistilbertSpec(kind="distilbert", layers=(0,)), teacher.model).model
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.model.state_dict().items())
