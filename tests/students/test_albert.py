"""ALBERT made of a BERT."""

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from exporters.exporter_models import int8
from pipestill.errors import ModelError
from pipestill.exporters._graph import count_operators
from pipestill.exporters.artifact import shape_of
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.quantised_share import measure_share
from pipestill.exporters.trace import trace
from pipestill.students._base import build_architecture
from pipestill.students.bert_layers import pick_layers
from pipestill.students.params import AlbertSpec
from pipestill.teacher import TorchClassifier

IDS = torch.tensor([[2, 7, 8, 9, 3, 0], [2, 12, 3, 0, 0, 0]])
MASK = (IDS != 0).long()


def spec(embedding_size: int, num_layers: int, layers: tuple[int, ...]) -> AlbertSpec:
    return AlbertSpec(kind="albert", embedding_size=embedding_size, num_layers=num_layers, layers=layers)


def with_gains(teacher: TorchClassifier) -> BertForSequenceClassification:
    """The teacher with normalisations as training leaves them: gains off 1, biases off 0."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in teacher.model.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
    model: BertForSequenceClassification = teacher.model
    return model


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(IDS, attention_mask=MASK).logits
    return found


@pytest.mark.parametrize("layer", [0, 3])
def test_with_the_whole_embedding_and_one_layer_it_is_the_teacher_cut_to_that_layer(
    teacher: TorchClassifier, layer: int
) -> None:
    model = with_gains(teacher)
    student, diagnostics = build_architecture(spec(model.config.hidden_size, 1, (layer,)), model)
    torch.testing.assert_close(logits(student), logits(pick_layers(model, (layer,))), rtol=0, atol=1e-5)
    assert [diagnostic.value for diagnostic in diagnostics if diagnostic.unit == "fraction"] == pytest.approx([1, 1])


def test_the_fewer_directions_the_less_energy_and_the_further_from_the_teacher(teacher: TorchClassifier) -> None:
    model = with_gains(teacher)
    expected = logits(pick_layers(model, (1,)))
    found = [build_architecture(spec(size, 1, (1,)), model) for size in (4, 10, 14, 16)]
    energies = [
        next(diagnostic.value for diagnostic in diagnostics if diagnostic.name.startswith("word"))
        for _, diagnostics in found
    ]
    assert energies == sorted(energies)
    errors = [float((logits(student) - expected).abs().max()) for student, _ in found]
    assert errors[0] > errors[-1]
    assert errors[-1] < 1e-5


def test_the_shared_layer_is_applied_as_often_as_asked_for(teacher: TorchClassifier) -> None:
    model = with_gains(teacher)
    student = build_architecture(spec(16, 3, (2,)), model).model
    torch.testing.assert_close(logits(student), logits(pick_layers(model, (2, 2, 2))), rtol=0, atol=1e-5)


def test_of_several_layers_the_shared_one_is_the_mean(teacher: TorchClassifier) -> None:
    student = build_architecture(spec(8, 2, (0, 1, 3)), teacher.model).model
    shared = student.albert.encoder.albert_layer_groups[0].albert_layers[0]
    chosen = [teacher.model.bert.encoder.layer[layer] for layer in (0, 1, 3)]
    mean = torch.stack([layer.intermediate.dense.weight for layer in chosen]).mean(dim=0)
    torch.testing.assert_close(shared.ffn.weight, mean)


def test_the_record_s_arithmetic_is_that_of_the_model(teacher: TorchClassifier) -> None:
    student, diagnostics = build_architecture(spec(5, 3, (0,)), teacher.model)
    stated = {diagnostic.name: diagnostic.value for diagnostic in diagnostics}
    words = student.albert.embeddings.word_embeddings.weight
    projection = student.albert.encoder.embedding_hidden_mapping_in.weight
    assert stated["embedding_factorised_parameters"] == words.numel() + projection.numel()
    assert stated["embedding_unfactorised_parameters"] == teacher.model.get_input_embeddings().weight.numel()
    layers = pick_layers(teacher.model, (0, 0, 0)).bert.encoder
    assert stated["layers_unshared_parameters"] == sum(parameter.numel() for parameter in layers.parameters())
    assert stated["layers_shared_parameters"] == stated["layers_unshared_parameters"] / 3


def test_an_embedding_wider_than_the_teacher_s_and_another_family_are_refused(teacher: TorchClassifier) -> None:
    with pytest.raises(ModelError, match="embedding_size"):
        build_architecture(spec(17, 1, (0,)), teacher.model)
    student = build_architecture(spec(8, 1, (0,)), teacher.model).model
    with pytest.raises(ModelError, match=r"(?s)AlbertForSequenceClassification.*BertForSequenceClassification"):
        build_architecture(spec(8, 1, (0,)), student)


def test_an_albert_of_real_proportions_is_quantised_whole_and_below_a_third(teacher: TorchClassifier) -> None:
    """ONNX Runtime's quantiser alone has been seen to take 9 of 75 products of an ALBERT, and the file grew."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 192, "num_attention_heads": 6, "intermediate_size": 768, "vocab_size": 3000}
    teacher_like = BertForSequenceClassification(BertConfig(**sizes, num_hidden_layers=2))
    student = build_architecture(spec(64, 6, (0,)), teacher_like).model.eval()
    fp32 = OnnxFp32(kind="onnx_fp32", fuse=True).optimise(trace(student), shape_of(student))
    quantised = int8().convert(fp32.model)
    assert fp32.fused_operators["Attention"] == 6
    share = measure_share(fp32.model, quantised)
    assert share.quantised_fraction >= 0.95
    assert len(quantised.SerializeToString()) < len(fp32.model.SerializeToString()) / 3
    assert count_operators(quantised.graph)["MatMul"] == 0
