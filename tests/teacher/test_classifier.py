"""Loading, saving and running classifiers of every family."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from pipestill.errors import ModelError
from pipestill.fingerprint import sha256_files
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, load_classifier, predict_logits, save_classifier
from pipestill.teacher.from_base import new_classifier


@pytest.mark.parametrize("family", list(tiny.SIZES))
def test_every_family_gets_a_head_is_saved_and_says_the_same_when_loaded(
    family: str, tmp_path: Path, labels: LabelSet, texts: list[str]
) -> None:
    base = tiny.save_base(tmp_path / "base", family)
    torch.manual_seed(0)
    classifier = new_classifier(base, labels=labels, max_length=16, dropout=0.0)
    before = predict_logits(classifier, texts, batch_size=7, precision="float32")
    save_classifier(classifier, tmp_path / "saved")
    again = load_classifier(tmp_path / "saved")
    after = predict_logits(again, texts, batch_size=7, precision="float32")
    assert before.shape == (len(texts), 3)
    np.testing.assert_array_equal(before, after)
    assert again.labels == labels
    assert again.max_length == 16


def test_two_passes_are_equal_bit_for_bit_and_leave_the_mode_alone(teacher: TorchClassifier, texts: list[str]) -> None:
    teacher.model.train()
    first = predict_logits(teacher, texts, batch_size=8, precision="float32")
    second = predict_logits(teacher, texts, batch_size=8, precision="float32")
    np.testing.assert_array_equal(first, second)
    assert teacher.model.training


def test_logits_come_in_the_order_of_the_texts_whatever_the_batch(teacher: TorchClassifier, texts: list[str]) -> None:
    alone = np.concatenate([predict_logits(teacher, [text], batch_size=1, precision="float32") for text in texts])
    together = predict_logits(teacher, texts, batch_size=16, precision="float32")
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_bfloat16_stays_near_float32(teacher: TorchClassifier, texts: list[str]) -> None:
    exact = predict_logits(teacher, texts, batch_size=8, precision="float32")
    rounded = predict_logits(teacher, texts, batch_size=8, precision="bfloat16")
    assert 0 < np.abs(exact - rounded).max() < 0.25


def test_saving_twice_gives_the_same_bytes_and_no_path_of_this_machine(teacher_folder: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        save_classifier(load_classifier(teacher_folder), tmp_path / name)
    assert sha256_files(tmp_path / "first") == sha256_files(tmp_path / "second")
    for file in (tmp_path / "first").glob("*.json"):
        assert str(teacher_folder) not in file.read_text()


def test_a_base_too_short_for_the_longest_input_is_refused(base: Path, labels: LabelSet) -> None:
    with pytest.raises(ModelError, match=r"(?s)max_length exceeds.*65.*at most 64"):
        new_classifier(base, labels=labels, max_length=65, dropout=0.0)


@pytest.mark.parametrize(("family", "readable"), [("bert", 64), ("roberta", 65), ("distilbert", 64)])
def test_the_longest_input_that_is_allowed_can_be_read(
    family: str, readable: int, tmp_path: Path, labels: LabelSet
) -> None:
    base = tiny.save_base(tmp_path, family)
    classifier = new_classifier(base, labels=labels, max_length=readable, dropout=0.0)
    logits = predict_logits(classifier, ["good " * 100], batch_size=1, precision="float32")
    assert np.isfinite(logits).all()
    with pytest.raises(ModelError, match=f"at most {readable} tokens"):
        new_classifier(base, labels=labels, max_length=readable + 1, dropout=0.0)


def test_a_base_in_half_precision_is_trained_in_full(base: Path, labels: LabelSet, tmp_path: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(base).to(torch.bfloat16).save_pretrained(tmp_path)
    tiny.save_tokenizer(tmp_path)
    classifier = new_classifier(tmp_path, labels=labels, max_length=16, dropout=0.0)
    assert {parameter.dtype for parameter in classifier.model.parameters()} == {torch.float32}


def test_the_notice_of_the_base_travels_with_what_is_made_of_it(base: Path, labels: LabelSet, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "base")
    (folder / "NOTICE.txt").write_text("made by somebody, free to use")
    save_classifier(new_classifier(folder, labels=labels, max_length=16, dropout=0.0), tmp_path / "saved")
    assert load_classifier(tmp_path / "saved").notice == "made by somebody, free to use"


def test_a_base_that_lacks_pretrained_weights_is_refused(base: Path, labels: LabelSet, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(base, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"(?s)lacks pretrained weights.*layer.1.output"):
        new_classifier(broken, labels=labels, max_length=16, dropout=0.0)


def test_a_folder_that_holds_no_trained_classifier_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="lacks weights of a trained classifier"):
        load_classifier(base)
    with pytest.raises(ModelError, match="does not hold a classifier"):
        load_classifier(tmp_path)
