"""Masked language models of every family: loaded, run at some positions, saved."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

import tiny
from pipestill.errors import ModelError
from pipestill.mlm.model import MaskedLm, load_masked_lm, predict_masked, save_masked_lm
from pipestill.text.tokenizer import load_tokenizer

FAMILIES = ("bert", "roberta", "xlm-roberta", "electra", "albert", "distilbert")


def save_masked(folder: Path, family: str) -> Path:
    """A masked language model as a user would save theirs, with random weights."""
    tiny.save_base(folder, family)
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_pretrained(folder)
    save_masked_lm(MaskedLm(model, load_tokenizer(folder), ""), folder)
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_at_some_positions_says_what_the_whole_model_says_there(family: str, tmp_path: Path) -> None:
    lm, has_head = load_masked_lm(save_masked(tmp_path / family, family))
    assert has_head
    ids = torch.randint(5, 40, (3, 7), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    places = torch.tensor([1, 4, 7 + 2, 14 + 6])
    with torch.inference_mode():
        expected = lm.model(input_ids=ids, attention_mask=mask).logits.flatten(0, 1)[places]
        found = predict_masked(lm.model, ids, mask, places).logits
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing(family: str, tmp_path: Path) -> None:
    lm, _ = load_masked_lm(save_masked(tmp_path / family, family))
    ids = torch.randint(5, 40, (2, 6), generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(ids, (0, 9), value=lm.tokenizer.pad_token_id)
    mask = torch.nn.functional.pad(torch.ones_like(ids), (0, 9))
    with torch.inference_mode():
        short = predict_masked(lm.model, ids, torch.ones_like(ids), torch.tensor([2, 6 + 3]))
        long = predict_masked(lm.model, padded, mask, torch.tensor([2, 15 + 3]))
    torch.testing.assert_close(long.logits, short.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(long.hidden, short.hidden, atol=1e-5, rtol=0)


def test_a_base_without_a_head_gets_one_that_shares_its_token_table(base: Path) -> None:
    torch.manual_seed(0)
    lm, has_head = load_masked_lm(base)
    assert not has_head
    assert lm.model.get_output_embeddings().weight is lm.model.get_input_embeddings().weight


def test_a_folder_that_is_no_language_model_or_lacks_its_encoder_is_refused(tmp_path: Path, base: Path) -> None:
    with pytest.raises(ModelError, match="no masked language model"):
        load_masked_lm(tmp_path / "nothing")
    shutil.copytree(base, tmp_path / "short")
    config = (tmp_path / "short/config.json").read_text()
    (tmp_path / "short/config.json").write_text(config.replace('"num_hidden_layers": 4', '"num_hidden_layers": 6'))
    with pytest.raises(ModelError, match="lacks pretrained weights"):
        load_masked_lm(tmp_path / "short")


def test_a_saved_model_reads_as_a_classifier_s_encoder_with_the_same_weights(tmp_path: Path) -> None:
    folder = save_masked(tmp_path / "bert", "bert")
    lm, _ = load_masked_lm(folder)
    classifier = AutoModelForSequenceClassification.from_pretrained(folder)
    mine = classifier.base_model.state_dict()
    for name, tensor in lm.model.base_model.state_dict().items():
        torch.testing.assert_close(mine[name], tensor, atol=0, rtol=0, msg=name)


def test_a_token_without_an_embedding_is_refused_before_training(tmp_path: Path) -> None:
    folder = save_masked(tmp_path, "bert")
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens(["[URL]"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"(?s)without an embedding.*ids up to 47.*ids below 47"):
        load_masked_lm(folder)
