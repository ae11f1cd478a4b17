"""Bases as the field has them, through training, export and predict; those that cannot end well do not begin."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_objective_and_params import TRAINING
from test_trainer import SILENT, distil, fill_cache, inputs
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tiny
from exporters.exporter_models import int8
from pipestill.errors import ModelError
from pipestill.exporters.artifact import DevRows, export_folder
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.params import Equalisation, ExportParams, ParityParams
from pipestill.exporters.records import CardContent
from pipestill.predict import Classifier
from pipestill.teacher import load_classifier, predict_logits, save_classifier
from pipestill.training.finetune import finetune_teacher
from pipestill.training.params import FinetuneTeacherParams, TrainingSettings

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning", "ignore:.*pin_memory.*:UserWarning"),
]
BASE, TEACHER, STUDENT = Path("models/base"), Path("models/teacher"), Path("models/students/student")
MAX_LENGTH = 6
LINES = ["a good film", "see [URL] for more of this bright and very slow film", "a bad film"]
"""Beyond `MAX_LENGTH` only the end of a text is read, and nothing in training has an address."""
LIMITS = ExportParams(
    fp32=OnnxFp32(kind="onnx_fp32", fuse=True),
    equalisation=Equalisation(num_rows=8, usual_quantile=0.98, min_outlier_ratio=3.0),
    int8=int8(min_quantised_fraction=0.0).model_copy(update={"max_size_fraction": 5.0}),  # a tiny file is all header
    parity=ParityParams(tolerance=1e-4, num_rows=8),
    gate_batch_size=4,
)
CARD_CONTENT = CardContent(
    data_name="tiny films",
    data_origin="a test",
    data_licence="CC0 1.0",
    num_rows={"train": 32, "dev": 8},
    base_notice="",
    max_length=MAX_LENGTH,
    cut_fraction=0.01,
    task="classes",
    labels=("bad", "fine", "good"),
    recipe={},
)


def save_awkward_base(family: str) -> None:
    """A classifier of three other labels for a sigmoid, which reads the end of a text, with two tokens added."""
    shutil.rmtree(BASE)
    tiny.save_base(BASE, family)
    model = AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=3)
    model.config.problem_type = "multi_label_classification"
    model.save_pretrained(BASE)
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    tokenizer.add_special_tokens({"additional_special_tokens": ["[URL]"], "pad_token": "<pad>"})
    tokenizer.save_pretrained(BASE)
    tiny.change_json(BASE / "tokenizer_config.json", truncation_side="left", padding_side="left")


def tune(family: str) -> None:
    params = FinetuneTeacherParams(
        seed=3, max_length=MAX_LENGTH, head="probe", training=TrainingSettings(**{**TRAINING, "epochs": 1})
    )
    tuned = finetune_teacher("teacher", params, BASE, inputs(f"teacher-{family}"), SILENT)
    shutil.rmtree(TEACHER)
    save_classifier(tuned.classifier, TEACHER)


def export_and_compare(source: Path, name: str) -> None:
    """Export a model, and answer rows and `LINES` as PyTorch does."""
    given, target = inputs("export"), Path("onnx") / name
    dev = DevRows(given.dev.texts, given.dev.label_ids)
    classifier = load_classifier(source)
    export_folder(name, classifier, source, target, dev, given.table["text"][:8], LIMITS, lambda: CARD_CONTENT)
    texts = [*given.dev.texts, *LINES]
    expected = predict_logits(classifier, texts, batch_size=4, precision="float32")
    np.testing.assert_allclose(Classifier(target, file="onnx/model.onnx").logits(texts), expected, atol=1e-4)
    assert [answer.label for answer in Classifier(target).predict(LINES)]


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        ("bert", {"kind": "bert_layers", "layers": {"preset": "uniform", "num_layers": 2}}),
        ("gpt2", {"kind": "bilstm", "embedding_size": 8, "lstm_size": 6, "dense_size": 8}),
    ],
)
@pytest.mark.parametrize("vocabulary", [{"kind": "full"}, {"kind": "pruned", "min_count": 2}])
def test_an_awkward_base_is_tuned_distilled_exported_and_asked_for_a_token_that_nothing_trained(
    family: str, architecture: dict[str, Any], vocabulary: dict[str, Any], workspace: Path
) -> None:
    save_awkward_base(family)
    tune(family)
    export_and_compare(TEACHER, "teacher")
    fill_cache()
    student = distil("student", architecture=architecture, vocabulary=vocabulary, max_length=MAX_LENGTH)
    save_classifier(student.classifier, STUDENT)
    assert (len(student.classifier.tokenizer) < 49) == (vocabulary["kind"] == "pruned")
    export_and_compare(STUDENT, "student")


@pytest.mark.parametrize(("family", "reason"), [("longformer", "fits one length"), ("xlnet", "tokens of padding")])
def test_a_family_that_cannot_be_exported_or_batched_is_refused_before_anything_is_trained(
    family: str, reason: str, workspace: Path
) -> None:
    shutil.rmtree(BASE)
    tiny.save_base(BASE, family)
    with pytest.raises(ModelError, match=f"(?s)ForSequenceClassification cannot be.*{reason}.*fetch.base"):
        tune(family)
    assert not (Path(".scratch") / f"teacher-{family}").exists()
