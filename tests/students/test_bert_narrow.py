"""A narrow BERT cut out of a BERT and refit on rows."""

from typing import Any

import pytest
import torch

from pipestill.errors import ModelError, ParamsError
from pipestill.params import parse_section
from pipestill.students._base import Batch, build_architecture
from pipestill.students.bert_layers import pick_layers
from pipestill.students.params import BertNarrowSpec
from pipestill.teacher import TorchClassifier

WHOLE: dict[str, Any] = {"kind": "bert_narrow", "layers": [0, 2], "hidden_size": 16, "num_heads": 2}
WHOLE |= {"intermediate_size": 32, "calibration_rows": 40}


def spec(**changes: Any) -> BertNarrowSpec:
    return parse_section({"s": WHOLE | changes}, "s", BertNarrowSpec)


def logits(model: torch.nn.Module, batches: list[Batch]) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model.eval()(**batch).logits for batch in batches])


def test_nothing_cut_is_the_teacher_cut_to_its_layers(teacher: TorchClassifier, batches: list[Batch]) -> None:
    student, diagnostics = build_architecture(spec(), teacher.model, batches)
    expected = logits(pick_layers(teacher.model, (0, 2)), batches)
    torch.testing.assert_close(logits(student, batches), expected, rtol=0, atol=1e-5)
    assert [diagnostic.value for diagnostic in diagnostics] == pytest.approx([1, 1, 1])


def test_dimensions_of_heads_that_add_nothing_go_and_the_logits_stay(
    teacher: TorchClassifier, batches: list[Batch]
) -> None:
    """Half of each head's dimensions are a rotation of nothing: scores and values have rank 4 of 8, and one head none."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in teacher.model.bert.encoder.layer:
            source, output = layer.attention.self, layer.attention.output.dense
            for part in (source.query, source.key, source.value):
                mix = torch.linalg.qr(torch.randn(8, 8, generator=draw)).Q[:, :4]
                part.weight[:8] = mix @ part.weight[:4]
                part.bias[:8] = mix @ part.bias[:4]
            output.weight[:, 8:] = 0
    expected = logits(pick_layers(teacher.model, (0, 2)), batches)
    # hidden_size / num_heads is a head's width: 16 with four heads is 4 of the teacher's 8, and here two of four are kept.
    student, diagnostics = build_architecture(spec(hidden_size=4, num_heads=1), teacher.model, batches)
    assert student.config.num_attention_heads == 1
    heads = next(found for found in diagnostics if found.name == "heads_explained_fraction")
    assert heads.value == pytest.approx(1, abs=1e-6)
    assert not torch.allclose(logits(student, batches), expected, atol=1e-3)  # the hidden width was cut as well


def test_refit_weights_are_nearer_to_the_teacher_than_the_same_dimensions_as_they_were(
    teacher: TorchClassifier, batches: list[Batch]
) -> None:
    student = build_architecture(spec(hidden_size=12), teacher.model, batches).model
    expected = logits(pick_layers(teacher.model, (0, 2)), batches)
    refitted = (logits(student, batches) - expected).square().mean()
    kept = _kept_dimensions(student, teacher)
    with torch.no_grad():
        for mine, number in zip(student.bert.encoder.layer, (0, 2), strict=True):
            theirs = teacher.model.bert.encoder.layer[number]
            mine.intermediate.dense.weight.copy_(theirs.intermediate.dense.weight[:, kept])
            mine.intermediate.dense.bias.copy_(theirs.intermediate.dense.bias)
    assert refitted < (logits(student, batches) - expected).square().mean()


def test_every_layer_keeps_the_same_hidden_dimensions(teacher: TorchClassifier, batches: list[Batch]) -> None:
    student = build_architecture(spec(hidden_size=8), teacher.model, batches).model
    kept = _kept_dimensions(student, teacher)
    assert len(kept) == 8
    assert kept == sorted(kept)
    for layer, number in zip(student.bert.encoder.layer, (0, 2), strict=True):
        original = teacher.model.bert.encoder.layer[number]
        assert torch.equal(layer.output.LayerNorm.weight, original.output.LayerNorm.weight[kept])
        assert torch.equal(layer.attention.output.LayerNorm.bias, original.attention.output.LayerNorm.bias[kept])


def test_the_less_is_kept_the_smaller_the_shares(teacher: TorchClassifier, batches: list[Batch]) -> None:
    few, more = (
        {
            diagnostic.name: diagnostic.value
            for diagnostic in build_architecture(spec(**sizes), teacher.model, batches)[1]
        }
        for sizes in (
            {"hidden_size": 4, "intermediate_size": 4, "num_heads": 1},
            {"hidden_size": 8, "intermediate_size": 16, "num_heads": 1},
        )
    )
    assert all(
        0 < few[name] < more[name] < 1 for name in ("hidden_explained_fraction", "feed_forward_explained_fraction")
    )


def test_the_rows_decide_and_the_initial_model_stays(teacher: TorchClassifier, batches: list[Batch]) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.model.state_dict().items()}
    one, again, other = (
        build_architecture(spec(hidden_size=8), teacher.model, rows).model.state_dict()
        for rows in (batches, batches, batches[:2])
    )
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.model.state_dict().items())


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
    changes: dict[str, Any], message: str, teacher: TorchClassifier, batches: list[Batch]
) -> None:
    with pytest.raises(ModelError, match=f"(?s){message}"):
        build_architecture(spec(**changes), teacher.model, batches)


def test_no_rows_are_refused(teacher: TorchClassifier) -> None:
    with pytest.raises(ModelError, match="needs rows to fit on"):
        build_architecture(spec(), teacher.model)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ParamsError, match="num_heads must divide hidden_size"):
        spec(hidden_size=9)


def _kept_dimensions(student: torch.nn.Module, teacher: TorchClassifier) -> list[int]:
    """Find the teacher's dimension of each of a student's, by the token table."""
    mine = student.bert.embeddings.word_embeddings.weight
    theirs = teacher.model.bert.embeddings.word_embeddings.weight
    return [int(theirs.eq(column[:, None]).all(dim=0).nonzero()[0, 0]) for column in mine.T]
