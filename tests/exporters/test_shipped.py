"""What ships encodes texts as training did: shown on whole exports of bases with settings of their own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from pipestill.errors import ExportError
from pipestill.exporters import artifact
from pipestill.exporters.artifact import DevRows, export_folder, torch_logits
from pipestill.exporters.params import ExportParams
from pipestill.exporters.records import CardContent, ExportRecord
from pipestill.exporters.session import pad
from pipestill.predict import Classifier as Runner
from pipestill.records import read_json, write_json
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, load_classifier, predict_logits, save_classifier
from pipestill.teacher.from_base import new_classifier

MAX_LENGTH = 8
LABELS = LabelSet(labels=("bad", "fine", "good"))
WORDS = [word for word in tiny.WORDS if word not in {"number", "set"}]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Texts of which most are longer than `MAX_LENGTH` and begin unlike they end."""
    draw = np.random.default_rng(1)
    return [" ".join(draw.choice(WORDS, draw.integers(1, 24))) for _ in range(40)]


def save_trained(folder: Path, base: Path, max_length: int = MAX_LENGTH) -> Path:
    """A classifier on a base, with weights large enough that labels differ, as the training stage writes it."""
    torch.manual_seed(2)
    classifier = new_classifier(base, labels=LABELS, max_length=max_length, dropout=0.0)
    for parameter in classifier.model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    save_classifier(classifier, folder)
    return folder


def export(source: Path, target: Path, dev: DevRows, params: ExportParams, card_content: CardContent) -> ExportRecord:
    return export_folder(
        "teacher", load_classifier(source), source, target, dev, dev.texts, params, lambda: card_content
    )


@pytest.fixture
def lenient(params: ExportParams) -> ExportParams:
    """Limits that a model of a few kilobytes keeps."""
    return params.model_copy(update={"int8": params.int8.model_copy(update={"max_size_fraction": 5.0})})


@pytest.mark.parametrize("side", ["left", "right"])
def test_parity_gate_and_predict_read_the_end_of_a_text_that_training_read(
    side: str, tmp_path: Path, dev: DevRows, lenient: ExportParams, card_content: CardContent
) -> None:
    base = tiny.save_base(tmp_path / "base")
    tiny.change_json(base / "tokenizer_config.json", truncation_side=side)
    source, target = save_trained(tmp_path / "trained", base), tmp_path / "onnx"
    trained = load_classifier(source)
    expected = predict_logits(trained, dev.texts, batch_size=4, precision="float32")
    labelled = DevRows(dev.texts, expected.argmax(axis=1).astype(np.int64))
    record = export(source, target, labelled, lenient, card_content)
    assert record.int8_gate.fp32_quality == 1.0
    runner = Runner(target, file="onnx/model.onnx")
    np.testing.assert_allclose(runner.logits(dev.texts), expected, atol=1e-4)
    assert np.array_equal(runner.logits(dev.texts).argmax(axis=1), labelled.label_ids)
    settings = read_json(target / "tokenizer_config.json")
    assert (settings["truncation_side"], settings["padding_side"]) == (side, "right")
    other = read_json(target / "tokenizer.json")
    other["truncation"]["direction"] = {"left": "Right", "right": "Left"}[side]
    write_json(target / "tokenizer.json", other)
    assert np.abs(Runner(target, file="onnx/model.onnx").logits(dev.texts) - expected).max() > 0.1


def cut_on_the_other_side(content: dict[str, Any]) -> None:
    content["truncation"]["direction"] = "Left"


def leave_out_the_special_tokens(content: dict[str, Any]) -> None:
    content["post_processor"] = None


def cut_earlier(content: dict[str, Any]) -> None:
    content["truncation"]["max_length"] = MAX_LENGTH - 1


def swap_two_words(content: dict[str, Any]) -> None:
    words = content["model"]["vocab"]
    words["good"], words["bad"] = words["bad"], words["good"]


def read_a_special_token_as_text(content: dict[str, Any]) -> None:
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "[MASK]"]


@pytest.mark.parametrize(
    "change",
    [
        cut_on_the_other_side,
        leave_out_the_special_tokens,
        cut_earlier,
        swap_two_words,
        read_a_special_token_as_text,
    ],
)
def test_a_shipped_tokenizer_with_other_ids_than_training_is_refused(
    change: Any,
    tmp_path: Path,
    dev: DevRows,
    lenient: ExportParams,
    card_content: CardContent,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = save_trained(tmp_path / "trained", tiny.save_base(tmp_path / "base"))
    write = artifact.write_tokenizer

    def write_changed(source: Path, target: Path, classifier: TorchClassifier) -> None:
        write(source, target, classifier)
        content = read_json(target / "tokenizer.json")
        change(content)
        write_json(target / "tokenizer.json", content)

    export(source, tmp_path / "good", dev, lenient, card_content)
    monkeypatch.setattr(artifact, "write_tokenizer", write_changed)
    with pytest.raises(ExportError, match="does not encode texts as training did") as caught:
        export(source, tmp_path / "onnx", dev, lenient, card_content)
    assert "texts with other token ids, such as" in str(caught.value.found)
    assert f"max_length {MAX_LENGTH}, cut on the right" in str(caught.value.expected)
    assert caught.value.next_step


def test_short_dev_rows_do_not_hide_that_texts_are_cut_elsewhere(
    tmp_path: Path, lenient: ExportParams, card_content: CardContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_a_shipped_tokenizer_with_other_ids_than_training_is_refused(
        cut_on_the_other_side,
        tmp_path,
        DevRows(["good", "bad film"], np.zeros(2, dtype=np.int64)),
        lenient,
        card_content,
        monkeypatch,
    )


def test_a_second_segment_that_training_had_not_is_refused(
    tmp_path: Path, dev: DevRows, lenient: ExportParams, card_content: CardContent
) -> None:
    base = tiny.save_base(tmp_path / "base")
    content = read_json(base / "tokenizer.json")
    content["post_processor"]["single"][1]["Sequence"]["type_id"] = 1
    write_json(base / "tokenizer.json", content)
    with pytest.raises(ExportError, match=r"(?s)a second segment.*\[0, 1"):
        export(save_trained(tmp_path / "trained", base), tmp_path / "onnx", dev, lenient, card_content)


def test_labels_in_another_order_are_refused(
    tmp_path: Path, dev: DevRows, lenient: ExportParams, card_content: CardContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_trained(tmp_path / "trained", tiny.save_base(tmp_path / "base"))
    write = artifact.write_config

    def write_reversed(source: Path, target: Path, classifier: TorchClassifier) -> None:
        write(source, target, classifier)
        tiny.change_json(target / "config.json", id2label=dict(enumerate(reversed(LABELS.labels))))

    monkeypatch.setattr(artifact, "write_config", write_reversed)
    with pytest.raises(ExportError, match="has other labels"):
        export(source, tmp_path / "onnx", dev, lenient, card_content)


def test_a_decoder_s_artifact_answers_as_in_training_and_takes_no_segments(
    tmp_path: Path, dev: DevRows, lenient: ExportParams, card_content: CardContent
) -> None:
    source = save_trained(tmp_path / "trained", tiny.save_base(tmp_path / "base", "gpt2"))
    record = export(source, tmp_path / "onnx", dev, lenient, card_content)
    assert record.inputs == ("input_ids", "attention_mask")
    expected = predict_logits(load_classifier(source), dev.texts, batch_size=4, precision="float32")
    found = Runner(tmp_path / "onnx", file="onnx/model.onnx").logits(dev.texts)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_parity_gives_the_model_what_training_gave_it(tmp_path: Path) -> None:
    model = load_classifier(save_trained(tmp_path / "trained", tiny.save_base(tmp_path / "base", "gpt2"))).model
    batch = pad([[2, 5, 6, 3], [2, 3]], pad_id=0)
    with torch.no_grad():
        given = {name: torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask")}
        expected = model(**given).logits.numpy()
        invented = model(**given, token_type_ids=torch.zeros_like(given["input_ids"])).logits.numpy()
    np.testing.assert_array_equal(torch_logits(model)(batch), expected)
    assert np.abs(invented - expected).max() > 0.1


def test_a_sigmoid_that_a_trained_folder_asks_for_does_not_ship(
    tmp_path: Path, dev: DevRows, lenient: ExportParams, card_content: CardContent
) -> None:
    source = save_trained(tmp_path / "trained", tiny.save_base(tmp_path / "base"))
    asked = {"problem_type": "multi_label_classification", "function_to_apply": "sigmoid"}
    tiny.change_json(source / "config.json", **asked)
    export(source, tmp_path / "onnx", dev, lenient, card_content)
    config = json.loads((tmp_path / "onnx/config.json").read_text())
    assert config["problem_type"] == "single_label_classification"
    assert config["pad_token_id"] == 0
    assert "function_to_apply" not in config


def test_the_lines_with_an_added_token_are_answered_as_in_training(
    tmp_path: Path, dev: DevRows, lenient: ExportParams, card_content: CardContent
) -> None:
    base = tiny.save_base(tmp_path / "base")
    tokenizer = tiny.word_level_tokenizer()
    tokenizer.add_tokens(["[URL]"])
    tokenizer.save_pretrained(base)
    source = save_trained(tmp_path / "trained", base)
    export(source, tmp_path / "onnx", dev, lenient, card_content)
    lines = ["a good film", "see [URL] for more", "a bad film"]
    expected = predict_logits(load_classifier(source), lines, batch_size=1, precision="float32")
    np.testing.assert_allclose(Runner(tmp_path / "onnx", file="onnx/model.onnx").logits(lines), expected, atol=1e-4)
    assert [answer.label for answer in Runner(tmp_path / "onnx").predict(lines)]
