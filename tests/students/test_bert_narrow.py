"""A narrow BERT cut out of a BERT."""

from typing import Any

import pytest
import torch

from pipestill.errors import ModelError, ParamsError
from pipestill.params import parse_section
from pipestill.students._base import build_architecture
from pipestill.students.bert_layers import pick_layers
from pipestill.students.bert_narrow import hidden_importance, keep
from pipestill.students.params import BertNarrowSpec
from pipestill.teacher import TorchClassifier

IDS = torch.tensor([[2, 7, 8, 9, 3, 0], [2, 12, 3, 0, 0, 0]])
MASK = (IDS != 0).long()
WHOLE: dict[str, Any] = {"kind": "bert_narrow", "layers": [0, 2], "hidden_size": 16, "num_heads": 2}
WHOLE |= {"intermediate_size": 32}


def spec(**changes: Any) -> BertNarrowSpec:
    return parse_section({"s": WHOLE | changes}, "s", BertNarrowSpec)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(IDS, attention_mask=MASK).logits
    return found


def test_nothing_cut_is_the_teacher_cut_to_its_layers(teacher: TorchClassifier) -> None:
    student, diagnostics = build_architecture(spec(), teacher.model)
    torch.testing.assert_close(logits(student), logits(pick_layers(teacher.model, (0, 2))), rtol=0, atol=1e-6)
    assert [diagnostic.value for diagnostic in diagnostics] == pytest.approx([1, 1, 1])


def test_heads_units_and_parts_of_heads_that_are_zero_are_what_is_cut(teacher: TorchClassifier) -> None:
    """What adds nothing to any output can go, and then the logits stay."""
    with torch.no_grad():
        for layer in teacher.model.bert.encoder.layer:
            attention, output = layer.attention.self, layer.attention.output.dense
            for part in (attention.query, attention.key, attention.value):
                part.weight[[1, 3, 5, 7]] = 0
                part.bias[[1, 3, 5, 7]] = 0
            attention.value.weight[8:] = 0
            attention.value.bias[8:] = 0
            output.weight[:, [1, 3, 5, 7]] = 0
            layer.intermediate.dense.weight[::2] = 0
            layer.intermediate.dense.bias[::2] = 0
    expected = logits(pick_layers(teacher.model, (0, 2)))
    units = build_architecture(spec(intermediate_size=16), teacher.model)
    torch.testing.assert_close(logits(units.model), expected, rtol=0, atol=1e-6)
    assert units.diagnostics[-1].value == pytest.approx(1)
    # One head of two, and of its eight dimensions the four that are not zero; the hidden width goes along.
    kept = keep(hidden_importance(teacher.model, [teacher.model.bert.encoder.layer[i] for i in (0, 2)]), 4).kept
    narrow = build_architecture(spec(hidden_size=4, num_heads=1), teacher.model).model.bert.encoder.layer[1].attention
    original = teacher.model.bert.encoder.layer[2].attention
    rows = torch.tensor([0, 2, 4, 6])
    scale = (4 / 8) ** 0.5
    torch.testing.assert_close(narrow.self.query.weight, scale * original.self.query.weight[rows][:, kept])
    torch.testing.assert_close(narrow.self.key.weight, original.self.key.weight[rows][:, kept])
    torch.testing.assert_close(narrow.self.value.weight, original.self.value.weight[rows][:, kept])
    torch.testing.assert_close(narrow.output.dense.weight, original.output.dense.weight[kept][:, rows])


def test_every_layer_keeps_the_same_hidden_dimensions(teacher: TorchClassifier) -> None:
    kept = keep(hidden_importance(teacher.model, [teacher.model.bert.encoder.layer[1]]), 8).kept
    student = build_architecture(spec(layers=[1], hidden_size=8), teacher.model).model
    theirs = teacher.model.bert
    assert torch.equal(
        student.bert.embeddings.word_embeddings.weight, theirs.embeddings.word_embeddings.weight[:, kept]
    )
    layer, original = student.bert.encoder.layer[0], theirs.encoder.layer[1]
    assert torch.equal(layer.output.LayerNorm.weight, original.output.LayerNorm.weight[kept])
    assert torch.equal(layer.output.dense.weight, original.output.dense.weight[kept])
    assert torch.equal(student.bert.pooler.dense.weight, theirs.pooler.dense.weight[kept][:, kept])
    assert torch.equal(student.classifier.weight, teacher.model.classifier.weight[:, kept])


def test_the_most_important_is_kept_and_of_equal_ones_the_earlier() -> None:
    found = keep(torch.tensor([1.0, 3.0, 1.0, 2.0, 1.0]), 3)
    assert found.kept.tolist() == [0, 1, 3]
    assert found.share == pytest.approx(6 / 8)


def test_the_less_is_kept_the_smaller_the_shares(teacher: TorchClassifier) -> None:
    shares = [
        [diagnostic.value for diagnostic in build_architecture(spec(**sizes), teacher.model).diagnostics]
        for sizes in (
            {"hidden_size": 4, "intermediate_size": 4, "num_heads": 1},
            {"hidden_size": 8, "intermediate_size": 16, "num_heads": 1},
        )
    ]
    assert all(0 < few < more < 1 for few, more in zip(shares[0][::2], shares[1][::2], strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 18}, r"hidden_size 18.*hidden_size at most 16"),
        ({"num_heads": 4}, r"num_heads 4.*num_heads at most 2"),
        ({"intermediate_size": 33}, r"intermediate_size 33.*at most 32"),
        ({"hidden_size": 12, "num_heads": 1}, r"hidden_size / num_heads 12.*at most 8"),
    ],
)
def test_what_the_teacher_is_too_small_for_is_refused(
    changes: dict[str, Any], message: str, teacher: TorchClassifier
) -> None:
    with pytest.raises(ModelError, match=f"(?s){message}"):
        build_architecture(spec(**changes), teacher.model)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ParamsError, match="num_heads must divide hidden_size"):
        spec(hidden_size=9)
