"""What every registered student architecture owes when its vocabulary is pruned and its embedding factorised."""

from pathlib import Path

import numpy as np
import pytest
import torch

from contracts.every_student import KINDS, LABELS, MAX_LENGTH, build_on_rows, random_bert, spec_of
from exporters.exporter_models import int8
from pipestill.exporters._graph import write_graph
from pipestill.exporters.artifact import shape_of, write_config, write_tokenizer
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.trace import trace
from pipestill.predict import Classifier as Predictor
from pipestill.teacher import TorchClassifier, load_classifier, predict_logits, save_classifier
from pipestill.text.tokenizer import load_tokenizer
from pipestill.text.vocabulary import count_tokens, prune_tokenizer
from pipestill.training.embeddings import factorise_embedding, pick_tokens
from pipestill.variants import INT8


@pytest.fixture
def teacher(base: Path) -> TorchClassifier:
    return TorchClassifier(random_bert(), load_tokenizer(base, MAX_LENGTH), LABELS, "")


def small(kind: str, teacher: TorchClassifier, texts: list[str], *, size: int | None) -> TorchClassifier:
    """A student of the tokens of some texts, its embedding factorised where a size is given."""
    tokenizer, kept = prune_tokenizer(teacher.tokenizer, count_tokens(teacher.tokenizer, [texts]), min_count=1)
    pick_tokens(teacher.model, kept)
    model = build_on_rows(spec_of(kind), teacher.model).model
    if size is not None:
        factorise_embedding(model, size)
    return TorchClassifier(model.eval(), tokenizer, teacher.labels, "")


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_student_made_smaller_is_trained_saved_exported_and_run_without_training_code(
    kind: str, size: int | None, teacher: TorchClassifier, texts: list[str], tmp_path: Path
) -> None:
    rows = [" ".join(text.split()[:3]) for text in texts[:12]]
    num_tokens = len(teacher.tokenizer)
    student = small(kind, teacher, rows, size=size)
    assert student.model.config.vocab_size == len(student.tokenizer) < num_tokens
    student.model(torch.tensor([[2, 7, 3]])).logits.sum().backward()
    gradients = [parameter.grad for parameter in student.model.get_input_embeddings().parameters()]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)

    save_classifier(student, tmp_path / "student")
    again = load_classifier(tmp_path / "student")
    expected = predict_logits(student, rows, batch_size=4, precision="float32")
    np.testing.assert_allclose(predict_logits(again, rows, batch_size=4, precision="float32"), expected, atol=1e-6)

    fp32 = OnnxFp32(kind="onnx_fp32", fuse=True).optimise(trace(again.model), shape_of(again.model)).model
    write_graph(fp32, tmp_path / "onnx/onnx/model.onnx")
    write_graph(int8().convert(fp32), tmp_path / "onnx" / INT8.file)
    write_config(tmp_path / "student", tmp_path / "onnx", again)
    write_tokenizer(tmp_path / "student", tmp_path / "onnx", again)
    predictor = Predictor(tmp_path / "onnx", file="onnx/model.onnx")
    np.testing.assert_allclose(predictor.logits(rows, batch_size=1), expected, atol=1e-4)
    assert Predictor(tmp_path / "onnx").predict(["an unheard word"])[0].label in teacher.labels.labels
