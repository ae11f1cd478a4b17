"""Students made of some of a model's layers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

import tiny
from pipestill.errors import ModelError
from pipestill.students._base import build_architecture
from pipestill.students.bert_layers import pick_layers
from pipestill.students.params import BertLayersSpec
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier
from pipestill.teacher.from_base import new_classifier


def test_all_layers_make_the_same_model(teacher: TorchClassifier) -> None:
    student = pick_layers(teacher.model, (0, 1, 2, 3)).eval()
    ids = torch.tensor([[2, 7, 8, 3]])
    with torch.no_grad():
        torch.testing.assert_close(student(ids).logits, teacher.model(ids).logits, rtol=0, atol=1e-6)


def test_layer_i_of_the_student_is_the_layer_that_the_list_names(teacher: TorchClassifier) -> None:
    student = build_architecture(BertLayersSpec(kind="bert_layers", layers=(3, 1)), teacher.model).model
    assert student.config.num_hidden_layers == 2
    for position, layer in enumerate((3, 1)):
        mine = student.bert.encoder.layer[position].state_dict()
        theirs = teacher.model.bert.encoder.layer[layer].state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(student.classifier.weight, teacher.model.classifier.weight)
    assert student.config.id2label == teacher.model.config.id2label


def test_the_initial_model_is_left_as_it_is_and_shares_nothing(teacher: TorchClassifier) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.model.state_dict().items()}
    student = pick_layers(teacher.model, (0,))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.model.state_dict().items())
    assert teacher.model.config.num_hidden_layers == 4


@pytest.mark.parametrize("family", ["roberta", "electra", "xlm-roberta", "distilbert"])
def test_other_families_that_name_their_layers_work_too(family: str, tmp_path: Path, labels: LabelSet) -> None:
    initial = new_classifier(tiny.save_base(tmp_path, family), labels=labels, max_length=16, dropout=0.0)
    student = pick_layers(initial.model, (0, 2)).eval()
    assert np.isfinite(student(torch.tensor([[2, 7, 3]])).logits.detach().numpy()).all()


def test_a_preset_is_the_list_it_stands_for(teacher: TorchClassifier) -> None:
    spec = TypeAdapter(BertLayersSpec).validate_python(
        {"kind": "bert_layers", "layers": {"preset": "uniform", "num_layers": 3}}
    )
    expected = pick_layers(teacher.model, (0, 1, 3)).state_dict()
    found = build_architecture(spec, teacher.model).model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_layer_that_does_not_exist_is_named(teacher: TorchClassifier) -> None:
    with pytest.raises(ModelError, match=r"(?s)\[4, -1\].*layers 0 to 3"):
        build_architecture(BertLayersSpec(kind="bert_layers", layers=(0, 4, -1)), teacher.model)


def test_an_encoder_that_shares_its_layers_is_refused(tmp_path: Path, labels: LabelSet) -> None:
    initial = new_classifier(tiny.save_base(tmp_path, "albert"), labels=labels, max_length=16, dropout=0.0)
    with pytest.raises(ModelError, match="cannot tell the layers"):
        pick_layers(initial.model, (0,))
