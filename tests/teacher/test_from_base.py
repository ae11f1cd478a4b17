"""What a base brings beside its encoder: a head, added tokens, a padding token, answers in its config, a family."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

import tiny
from pipestill.errors import ModelError
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, load_classifier, predict_logits, save_classifier
from pipestill.teacher.from_base import new_classifier
from pipestill.text.tokenizer import encode, load_tokenizer

PAD_AND_URL = {"pad_token": "<pad>", "additional_special_tokens": ["[URL]"]}


def build(base: Path, labels: LabelSet, max_length: int = 24) -> TorchClassifier:
    torch.manual_seed(5)
    return new_classifier(base, labels=labels, max_length=max_length, dropout=0.0)


def give_head(base: Path, num_labels: int) -> Path:
    """Turn a base into a classifier of its own."""
    torch.manual_seed(9)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=num_labels)
    model.config.id2label = {label_id: f"theirs {label_id}" for label_id in range(num_labels)}
    model.save_pretrained(base)
    return base


def add_tokens(base: Path) -> Path:
    """Add a padding token and a token for addresses to the tokenizer, and to nothing else."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens(PAD_AND_URL)
    tokenizer.save_pretrained(base)
    return base


@pytest.mark.parametrize("num_labels", [1, 3, 5])
@pytest.mark.parametrize("family", tiny.SIZES)
def test_the_head_of_a_base_that_is_a_classifier_is_replaced_and_that_is_said_once(
    family: str, num_labels: int, tmp_path: Path, labels: LabelSet, capsys: pytest.CaptureFixture[str]
) -> None:
    base = give_head(tiny.save_base(tmp_path, family), num_labels)
    capsys.readouterr()
    classifier = build(base, labels)
    counted = "1 label" if num_labels == 1 else f"{num_labels} labels"
    assert capsys.readouterr().out == f"the base's own classification head ({counted}) is replaced\n"
    prefix = classifier.model.base_model_prefix
    theirs, ours = load_file(base / "model.safetensors"), classifier.model.state_dict()
    for name, tensor in ours.items():
        if name.startswith(f"{prefix}."):
            assert torch.equal(tensor, theirs[name])
        elif tensor.dim() > 1:
            assert tensor.shape != theirs[name].shape or not torch.equal(tensor, theirs[name])
    again = build(base, labels).model.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in ours.items())
    assert classifier.model.config.id2label == dict(enumerate(labels.labels))
    torch.manual_seed(6)
    other = new_classifier(base, labels=labels, max_length=24, dropout=0.0).model.state_dict()
    assert any(not torch.equal(tensor, other[name]) for name, tensor in ours.items())


def test_a_base_without_a_head_of_its_own_is_not_said_to_have_one(
    base: Path, labels: LabelSet, capsys: pytest.CaptureFixture[str]
) -> None:
    build(base, labels)
    assert capsys.readouterr().out == ""


def test_weights_that_do_not_fit_their_config_are_refused_by_name(base: Path, labels: LabelSet, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "base")
    tiny.change_json(folder / "config.json", intermediate_size=40)
    with pytest.raises(ModelError, match=r"(?s)do not fit each other.*layer\.0\.intermediate.*\(32.*expected: \(40"):
        build(folder, labels)


def test_a_config_that_no_model_can_be_made_of_is_a_model_error(base: Path, labels: LabelSet, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "base")
    tiny.change_json(folder / "config.json", hidden_size="wide")
    with pytest.raises(ModelError, match=r"(?s)does not hold a pretrained encoder.*hidden_size"):
        build(folder, labels)


@pytest.mark.parametrize("kept", [0, 7, 3000])
def test_weights_that_are_cut_short_are_a_model_error(kept: int, base: Path, labels: LabelSet, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "base")
    (folder / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:kept])
    with pytest.raises(ModelError, match="does not hold a pretrained encoder"):
        build(folder, labels)


@pytest.mark.parametrize("family", [*tiny.SIZES, "gpt2"])
def test_a_token_that_the_tokenizer_alone_has_gets_a_row_the_mean_of_the_pretrained_ones(
    family: str, tmp_path: Path, labels: LabelSet, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tiny.save_base(tmp_path / "base", family)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["[URL]"])
    tokenizer.save_pretrained(base)
    classifier = build(base, labels)
    assert "the base's tokenizer has 48 ids, its embedding table 47 rows: 1 added" in capsys.readouterr().out
    weight = classifier.model.get_input_embeddings().weight.detach()
    assert len(weight) == classifier.model.config.vocab_size == 48
    torch.testing.assert_close(weight[47], weight[:47].mean(dim=0))
    texts = ["a good film", "see [URL] for more", "a bad film"]
    assert 47 in encode(classifier.tokenizer, texts)[1]
    before = predict_logits(classifier, texts, batch_size=3, precision="float32")
    save_classifier(classifier, tmp_path / "saved")
    after = predict_logits(load_classifier(tmp_path / "saved"), texts, batch_size=3, precision="float32")
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2"])
def test_a_padding_token_without_a_row_gets_one_and_the_config_its_id(
    family: str, tmp_path: Path, labels: LabelSet
) -> None:
    classifier = build(add_tokens(tiny.save_base(tmp_path / "base", family)), labels)
    save_classifier(classifier, tmp_path / "saved")
    again = load_classifier(tmp_path / "saved")
    pad = again.tokenizer.pad_token_id
    assert pad >= 47
    assert again.model.config.pad_token_id == pad
    alone = [predict_logits(again, [text], batch_size=1, precision="float32") for text in ("good", "a very bad film")]
    together = predict_logits(again, ["good", "a very bad film"], batch_size=2, precision="float32")
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-5)


def test_positions_that_are_counted_from_another_padding_id_are_refused(tmp_path: Path, labels: LabelSet) -> None:
    base = add_tokens(tiny.save_base(tmp_path, "roberta"))
    with pytest.raises(ModelError, match=r"(?s)padding id.*0 in config\.json, 47 \(<pad>\).*counts positions"):
        build(base, labels)


def test_a_decoder_whose_config_names_no_padding_gets_the_tokenizer_s(tmp_path: Path, labels: LabelSet) -> None:
    base = tiny.save_base(tmp_path / "base", "gpt2")
    assert json.loads((base / "config.json").read_text())["pad_token_id"] is None
    classifier = build(base, labels)
    save_classifier(classifier, tmp_path / "saved")
    assert json.loads((tmp_path / "saved/config.json").read_text())["pad_token_id"] == 0
    texts = ["good", "the film was very bad", "a plot"]
    alone = np.concatenate([predict_logits(classifier, [text], batch_size=1, precision="float32") for text in texts])
    together = predict_logits(load_classifier(tmp_path / "saved"), texts, batch_size=3, precision="float32")
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_a_tokenizer_without_any_padding_token_is_refused(tmp_path: Path, labels: LabelSet) -> None:
    tokenizer = tiny.word_level_tokenizer()
    base = tiny.save_base(tmp_path, tokenizer=tokenizer)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(base)
    with pytest.raises(ModelError, match=r"(?s)cannot be used.*padding token: None"):
        build(base, labels)


def test_a_trained_folder_whose_tokenizer_was_extended_since_is_refused(teacher_folder: Path, tmp_path: Path) -> None:
    folder = add_tokens(shutil.copytree(teacher_folder, tmp_path / "teacher"))
    with pytest.raises(ModelError, match=r"(?s)without an embedding.*ids up to 48 \('\[URL\]'\).*ids below 47"):
        load_classifier(folder)


def test_clients_of_what_is_saved_take_a_softmax_whatever_the_base_answered(tmp_path: Path, labels: LabelSet) -> None:
    base = tiny.save_base(tmp_path / "base")
    several = {"problem_type": "multi_label_classification", "function_to_apply": "sigmoid"}
    tiny.change_json(base / "config.json", **several)
    classifier = build(base, labels)
    saved = tmp_path / "saved"
    save_classifier(classifier, saved)
    config = json.loads((saved / "config.json").read_text())
    assert config["problem_type"] == "single_label_classification"
    assert "function_to_apply" not in config
    answers = pipeline("text-classification", model=str(saved), top_k=None, device="cpu")(["a good film"])[0]
    logits = predict_logits(classifier, ["a good film"], batch_size=1, precision="float32")[0].astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum()
    found = {answer["label"]: answer["score"] for answer in answers}
    np.testing.assert_allclose([found[label] for label in labels.labels], expected, atol=1e-6)


def test_a_classifier_trained_before_is_saved_with_the_right_answer_too(
    teacher: TorchClassifier, tmp_path: Path
) -> None:
    teacher.model.config.problem_type = "multi_label_classification"
    save_classifier(teacher, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["problem_type"] == "single_label_classification"


def test_relative_positions_have_no_limit_and_the_reason_against_xlnet_is_its_padding(
    tmp_path: Path, labels: LabelSet
) -> None:
    base = tiny.save_base(tmp_path, "xlnet")
    with pytest.raises(ModelError, match=r"(?s)XLNetForSequenceClassification.*change by.*tokens of padding"):
        build(base, labels, max_length=500)


def test_a_classifier_that_needs_an_end_token_which_its_tokenizer_does_not_write_is_refused(
    tmp_path: Path, labels: LabelSet
) -> None:
    from transformers import BartConfig, BartModel

    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    sizes |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 47}
    BartModel(BartConfig(**sizes, pad_token_id=0, bos_token_id=2, eos_token_id=40)).save_pretrained(tmp_path)
    tiny.save_tokenizer(tmp_path)
    with pytest.raises(ModelError, match=r"(?s)BartForSequenceClassification cannot be used.*cannot be run on `good`"):
        build(tmp_path, labels)


def test_settings_that_tokenizer_json_cannot_hold_are_refused_before_training(tmp_path: Path, labels: LabelSet) -> None:
    base = tiny.save_base(tmp_path)
    tiny.change_json(base / "tokenizer_config.json", split_special_tokens=True)
    with pytest.raises(ModelError, match=r"(?s)does not encode like its tokenizer\.json.*split_special_tokens"):
        build(base, labels)


def test_the_side_that_is_cut_is_the_base_s_and_is_kept(tmp_path: Path, labels: LabelSet) -> None:
    base = tiny.save_base(tmp_path / "base")
    tiny.change_json(base / "tokenizer_config.json", truncation_side="left", padding_side="left")
    save_classifier(build(base, labels, max_length=5), tmp_path / "saved")
    tokenizer = load_tokenizer(tmp_path / "saved")
    rows = encode(tokenizer, ["the film was good bad"])
    assert tokenizer.convert_ids_to_tokens(rows[0]) == ["[CLS]", "was", "good", "bad", "[SEP]"]
    assert tokenizer.padding_side == "right"
    client = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert (client.truncation_side, client.padding_side) == ("left", "right")


def test_an_encoder_weight_that_is_missing_is_refused_beside_a_head_of_the_base_s_own(
    tmp_path: Path, labels: LabelSet
) -> None:
    base = give_head(tiny.save_base(tmp_path), 3)
    weights = load_file(base / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"(?s)lacks pretrained weights.*layer.1.output"):
        build(base, labels)
