"""Every family of teachers through the whole of training: fine-tune, cache, distil, export, predict."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_objective_and_params import TRAINING
from test_trainer import SILENT, distil, fill_cache, inputs

import tiny
from exporters.exporter_models import int8
from pipestill.exporters._graph import write_graph
from pipestill.exporters.artifact import shape_of, write_config, write_tokenizer
from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.trace import trace
from pipestill.predict import Classifier
from pipestill.teacher import load_classifier, predict_logits, save_classifier
from pipestill.training.finetune import finetune_teacher
from pipestill.training.params import FinetuneTeacherParams, TrainingSettings
from text.pretrained_tokenizers import KINDS

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning", "ignore:.*pin_memory.*:UserWarning"),
]
LAYERS = {"kind": "bert_layers", "layers": {"preset": "uniform", "num_layers": 2}}
FITTING: dict[str, dict[str, Any]] = dict.fromkeys(tiny.SIZES, LAYERS) | {
    "albert": {"kind": "bilstm", "embedding_size": 8, "lstm_size": 6, "dense_size": 8}  # its layers are one
}
"""A student kind that can be made of each family."""
TOKENIZERS = {
    "bert": "WordPiece",
    "distilbert": "WordPiece",
    "electra": "WordPiece",
    "roberta": "BPE",
    "xlm-roberta": "Unigram",
    "albert": "Unigram",
}
"""The kind of tokenizer that each family comes with; RoBERTa's positions begin after the id of its padding."""


@pytest.mark.parametrize("family", tiny.SIZES)
def test_a_teacher_of_every_family_is_tuned_cached_distilled_exported_and_asked(family: str, workspace: Path) -> None:
    for folder in ("models/base", "models/teacher"):
        shutil.rmtree(folder)
    Path("models/base").mkdir()
    tokenizer = KINDS[TOKENIZERS[family]]()
    tiny.save_base(Path("models/base"), family, tokenizer=tokenizer)
    params = FinetuneTeacherParams(
        seed=3, max_length=24, head="random", training=TrainingSettings(**{**TRAINING, "epochs": 1})
    )
    tuned = finetune_teacher("teacher", params, Path("models/base"), inputs("teacher"), SILENT)
    save_classifier(tuned.classifier, Path("models/teacher"))
    fill_cache()
    trained = distil("student", architecture=FITTING[family])
    source = Path("models/students/student")
    save_classifier(trained.classifier, source)

    student, onnx = load_classifier(source), Path("onnx")
    graph = OnnxFp32(kind="onnx_fp32", fuse=True).optimise(trace(student.model), shape_of(student.model)).model
    write_graph(graph, onnx / OnnxFp32.variant.file)
    write_graph(int8().convert(graph), onnx / Int8Dynamic.variant.file)
    write_config(source, onnx, student)
    write_tokenizer(source, onnx, student)
    dev = inputs("export").dev
    expected = predict_logits(student, dev.texts, batch_size=4, precision="float32")
    np.testing.assert_allclose(Classifier(onnx, file="onnx/model.onnx").logits(list(dev.texts)), expected, atol=1e-4)
    assert {answer.label for answer in Classifier(onnx).predict(list(dev.texts))} <= {"bad", "fine", "good"}
    fractions = [diagnostic.value for diagnostic in trained.record.diagnostics]
    assert fractions == ([1.0] if family == "albert" else [])
