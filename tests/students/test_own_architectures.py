"""Students with modules of our own: recurrent ones and the static one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn
from transformers import PreTrainedModel

import tiny
from exporters.exporter_models import int8
from pipestill.architectures._recurrent import read_packed
from pipestill.errors import ModelError, ParamsError
from pipestill.exporters._graph import count_operators
from pipestill.exporters.artifact import shape_of
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.quantised_share import measure_share
from pipestill.exporters.trace import trace
from pipestill.params import parse_section
from pipestill.students._base import Built, build_architecture
from pipestill.students.params import GruTransformerSpec, StudentKind
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, load_classifier, save_classifier
from pipestill.teacher.from_base import new_classifier

GRU: dict[str, Any] = {
    "kind": "gru_transformer",
    "embedding_size": 16,
    "hidden_size": 12,
    "num_layers": 1,
    "num_heads": 2,
    "intermediate_size": 24,
    "pooling": "mean",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "gru_transformer": GRU,
    "bilstm": {"kind": "bilstm", "embedding_size": 16, "lstm_size": 6, "dense_size": 8},
    "static": {"kind": "static", "embedding_size": 16, "dense_size": 8},
}


def build(kind: str, initial: PreTrainedModel, **changes: Any) -> Built:
    torch.manual_seed(0)
    built: Built = build_architecture(TypeAdapter(StudentKind).validate_python(SETTINGS[kind] | changes), initial)
    return built


@pytest.mark.parametrize("cell_kind", [nn.GRU, nn.LSTM])
def test_each_row_is_read_as_if_it_were_alone(cell_kind: Any) -> None:
    torch.manual_seed(0)
    cell = cell_kind(5, 3, batch_first=True, bidirectional=True)
    inputs = torch.randn(3, 6, 5)
    mask = torch.tensor([[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    inputs[mask == 0] = torch.nan
    outputs, last = read_packed(cell, inputs, mask)
    for row, length in enumerate((2, 6, 3)):
        alone, state = cell(inputs[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0])
        state = state[0] if isinstance(state, tuple) else state
        torch.testing.assert_close(last[row], torch.cat([state[0, 0], state[1, 0]]))
    assert (outputs[mask == 0] == 0).all()


@pytest.mark.parametrize("cell_kind", [nn.GRU, nn.LSTM])
def test_a_recurrent_cell_computes_in_float32_whatever_the_precision(cell_kind: Any) -> None:
    torch.manual_seed(0)
    cell = cell_kind(5, 3, batch_first=True, bidirectional=True)
    inputs = torch.randn(2, 4, 5)
    expected, _ = read_packed(cell, inputs, None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = read_packed(cell, inputs, None)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("family", tiny.SIZES)
@pytest.mark.parametrize("kind", SETTINGS)
def test_it_is_made_of_any_family(kind: str, family: str, tmp_path: Path, labels: LabelSet) -> None:
    initial = new_classifier(tiny.save_base(tmp_path, family), labels=labels, max_length=16, dropout=0.0)
    width = initial.model.get_input_embeddings().embedding_dim
    student, diagnostics = build(kind, initial.model, embedding_size=width)
    assert [diagnostic.value for diagnostic in diagnostics] == [1]
    assert student(torch.tensor([[2, 7, 3]])).logits.shape == (1, 3)
    assert student.config.id2label == initial.model.config.id2label


def test_the_gru_s_tokens_are_the_teacher_s(teacher: TorchClassifier) -> None:
    student = build("gru_transformer", teacher.model).model
    assert torch.equal(student.word_embeddings.weight, teacher.model.get_input_embeddings().weight)


@pytest.mark.parametrize("kind", ["bilstm", "static"])
def test_where_nothing_normalises_the_tokens_their_root_mean_square_is_1(kind: str, teacher: TorchClassifier) -> None:
    table = build(kind, teacher.model).model.get_input_embeddings().weight.detach()
    original = teacher.model.get_input_embeddings().weight.detach()
    assert float(table.square().mean()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(table / table.norm(), original / original.norm())


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_smaller_table_says_which_share_of_the_energy_it_keeps(kind: str, teacher: TorchClassifier) -> None:
    energies = [build(kind, teacher.model, embedding_size=size).diagnostics[0].value for size in (2, 8, 15)]
    assert energies == sorted(energies)
    assert 0 < energies[0] < energies[-1] < 1
    with pytest.raises(ModelError, match="embedding_size"):
        build(kind, teacher.model, embedding_size=17)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ParamsError, match="num_heads must divide hidden_size"):
        parse_section({"s": GRU | {"num_heads": 5}}, "s", GruTransformerSpec)


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_the_mean_leaves_padding_out_and_the_first_token_is_the_first(pooling: str, teacher: TorchClassifier) -> None:
    model = build("gru_transformer", teacher.model, pooling=pooling).model.eval()
    ids, mask = torch.tensor([[2, 7, 8, 3, 0]]), torch.tensor([[1, 1, 1, 1, 0]])
    with torch.no_grad():
        output = model(ids, attention_mask=mask, output_hidden_states=True)
        last = output.hidden_states[-1][0]
        pooled = last[0] if pooling == "first" else last[:4].mean(dim=0)
        torch.testing.assert_close(output.logits[0], model.classifier(pooled))


def test_static_starts_as_a_mean_and_learns_which_tokens_count(teacher: TorchClassifier) -> None:
    model = build("static", teacher.model).model.eval()
    ids, mask = torch.tensor([[2, 7, 8, 0]]), torch.tensor([[1, 1, 1, 0]])

    def bag_of(weights: list[float]) -> torch.Tensor:
        bag = (torch.tensor(weights)[:, None] * model.word_embeddings(ids[0, :3])).sum(dim=0)
        logits: torch.Tensor = model.classifier(model.dense(bag).relu())
        return logits

    with torch.no_grad():
        torch.testing.assert_close(model(ids, attention_mask=mask).logits[0], bag_of([1 / 3, 1 / 3, 1 / 3]))
        model.importance.weight[7] = float(np.log(8))
        torch.testing.assert_close(model(ids, attention_mask=mask).logits[0], bag_of([0.1, 0.8, 0.1]))


def test_of_a_gru_the_record_says_what_stays_float_and_of_an_lstm_nothing_does(teacher: TorchClassifier) -> None:
    shares = {}
    for kind in ("gru_transformer", "bilstm"):
        torch.manual_seed(0)
        student = build(kind, teacher.model).model.eval()
        graph = OnnxFp32(kind="onnx_fp32", fuse=True).optimise(trace(student), shape_of(student)).model
        assert count_operators(graph.graph)["GRU" if kind == "gru_transformer" else "LSTM"] == 1
        shares[kind] = measure_share(graph, int8().convert(graph))
    gru = shares["gru_transformer"]
    weights = 2 * 3 * 6 * (16 + 6)  # directions, gates, units, inputs and states
    assert gru.float_bytes_by_operator["GRU"] == 4 * weights
    assert gru.total_bytes == gru.eligible_bytes + 4 * weights
    assert gru.total_quantised_fraction == pytest.approx(1 - gru.float_bytes / gru.total_bytes)
    assert gru.quantised_fraction > gru.total_quantised_fraction
    assert "LSTM" not in shares["bilstm"].float_bytes_by_operator


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_fresh_process_loads_it_and_reads_no_other_module_of_ours(
    kind: str, teacher: TorchClassifier, tmp_path: Path
) -> None:
    model = build(kind, teacher.model).model.eval()
    save_classifier(TorchClassifier(model, teacher.tokenizer, teacher.labels, ""), tmp_path)
    code = f"""
import sys
from pathlib import Path
from pipestill.teacher import load_classifier
print(type(load_classifier(Path({str(tmp_path)!r})).model).__name__)
print(sorted(name for name in sys.modules if name.startswith("pipestill.architectures.")))
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    name, loaded = done.stdout.splitlines()
    assert name == type(model).__name__
    recurrent = [] if kind == "static" else ["_recurrent"]
    assert loaded == str([f"pipestill.architectures.{own}" for own in ("_base", *recurrent, kind)])


@pytest.mark.parametrize("model_type", ["", "no_such", "../bert_layers", "os.path", 5])
def test_a_model_type_that_is_none_of_ours_is_left_to_transformers(model_type: object, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(f'{{"model_type": {str(model_type)!r}}}'.replace("'", '"'))
    with pytest.raises(ModelError, match="does not hold a classifier"):
        load_classifier(tmp_path)
