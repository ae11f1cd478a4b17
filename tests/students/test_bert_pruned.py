"""A BERT whose feed-forward units are chosen and refitted on rows."""

from typing import Any

import pytest
import torch

from pipestill.errors import ModelError
from pipestill.params import parse_section
from pipestill.students._base import Batch, build_architecture
from pipestill.students.bert_layers import pick_layers
from pipestill.students.params import BertPrunedSpec, DistilbertSpec
from pipestill.surgery.moments import measure_inputs
from pipestill.teacher import TorchClassifier

WHOLE: dict[str, Any] = {"kind": "bert_pruned", "layers": [0, 2], "intermediate_size": 32, "calibration_rows": 40}


def spec(**changes: Any) -> BertPrunedSpec:
    return parse_section({"s": WHOLE | changes}, "s", BertPrunedSpec)


def logits(model: torch.nn.Module, batches: list[Batch]) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model.eval()(**batch).logits for batch in batches])


def test_nothing_cut_is_the_teacher_cut_to_its_layers(teacher: TorchClassifier, batches: list[Batch]) -> None:
    student, diagnostics = build_architecture(spec(), teacher.model, batches)
    expected = logits(pick_layers(teacher.model, (0, 2)), batches)
    torch.testing.assert_close(logits(student, batches), expected, rtol=0, atol=1e-5)
    assert [diagnostic.value for diagnostic in diagnostics] == pytest.approx([1, 1])


def test_units_that_others_can_speak_for_go_and_the_logits_stay(teacher: TorchClassifier, batches: list[Batch]) -> None:
    """Every second unit is the double of its neighbour: half of them say what all said."""
    for layer in teacher.model.bert.encoder.layer:
        with torch.no_grad():
            layer.intermediate.dense.weight[1::2] = layer.intermediate.dense.weight[::2]
            layer.intermediate.dense.bias[1::2] = layer.intermediate.dense.bias[::2]
    student = build_architecture(spec(intermediate_size=16), teacher.model, batches).model
    assert student.config.intermediate_size == 16
    expected = logits(pick_layers(teacher.model, (0, 2)), batches)
    torch.testing.assert_close(logits(student, batches), expected, rtol=0, atol=1e-3)


def test_refitted_units_are_nearer_to_the_teacher_than_the_same_units_as_they_were(
    teacher: TorchClassifier, batches: list[Batch]
) -> None:
    student, diagnostics = build_architecture(spec(intermediate_size=8), teacher.model, batches)
    assert all(0 < diagnostic.value < 1 for diagnostic in diagnostics)
    expected = logits(pick_layers(teacher.model, (0, 2)), batches)
    refitted = (logits(student, batches) - expected).square().mean()
    with torch.no_grad():
        for mine, number in zip(student.bert.encoder.layer, (0, 2), strict=True):
            theirs = teacher.model.bert.encoder.layer[number]
            kept = [
                theirs.intermediate.dense.weight.eq(row).all(dim=1).nonzero()[0, 0]
                for row in mine.intermediate.dense.weight
            ]
            mine.output.dense.weight.copy_(theirs.output.dense.weight[:, torch.stack(kept)])
            mine.output.dense.bias.copy_(theirs.output.dense.bias)
    assert refitted < (logits(student, batches) - expected).square().mean()


def test_padding_does_not_count(teacher: TorchClassifier, batches: list[Batch]) -> None:
    readers = {"layer": teacher.model.bert.encoder.layer[0].output.dense}
    wider = [{name: torch.nn.functional.pad(tensor, (0, 5)) for name, tensor in batch.items()} for batch in batches]
    narrow, wide = (measure_inputs(teacher.model, readers, part)["layer"] for part in (batches, wider))
    torch.testing.assert_close(narrow.mean, wide.mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(narrow.covariance, wide.covariance, rtol=0, atol=1e-5)


def test_no_rows_and_too_many_units_and_other_encoders_are_refused(
    teacher: TorchClassifier, batches: list[Batch]
) -> None:
    with pytest.raises(ModelError, match="needs rows to fit on"):
        build_architecture(spec(), teacher.model)
    with pytest.raises(ModelError, match=r"(?s)wider than its initial model.*33.*at most 32"):
        build_architecture(spec(intermediate_size=33), teacher.model, batches)
    distilbert = build_architecture(DistilbertSpec(kind="distilbert", layers=(0, 1)), teacher.model).model
    with pytest.raises(ModelError, match="cannot find the feed-forward units"):
        build_architecture(spec(layers=[0]), distilbert, batches)
