"""Vocabulary pruning: what is kept, and that texts are cut as before."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pipestill.errors import ModelError
from pipestill.text.tokenizer import encode, load_tokenizer
from pipestill.text.tokenizer_file import cut_down
from pipestill.text.vocabulary import count_tokens, prune_tokenizer, unknown_fraction
from text.pretrained_tokenizers import CORPUS, KINDS, LETTERS, made_up_texts

SPLITTING = [kind for kind in KINDS if kind != "WordLevel"]


@cache
def whole(kind: str) -> PreTrainedTokenizerBase:
    return KINDS[kind]()


def pruned(kind: str, texts: list[str], min_count: int = 1) -> tuple[PreTrainedTokenizerBase, list[int]]:
    return prune_tokenizer(whole(kind), count_tokens(whole(kind), [texts]), min_count=min_count)


def tokens(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[str]]:
    return [tokenizer.convert_ids_to_tokens(ids) for ids in encode(tokenizer, texts)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_with_a_count_of_one_the_texts_counted_are_cut_into_the_same_tokens(kind: str, seed: int) -> None:
    texts = made_up_texts(seed, 200) + CORPUS[::7]
    tokenizer, old_ids = pruned(kind, texts)
    assert len(tokenizer) < len(whole(kind))
    assert tokens(tokenizer, texts) == tokens(whole(kind), texts)
    old = [[old_ids[index] for index in row] for row in encode(tokenizer, texts)]
    assert old == encode(whole(kind), texts)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(st.text(LETTERS + " .\u4e2d\U0001f600XYZ", max_size=30), min_size=1, max_size=6))
def test_any_texts_counted_are_cut_into_the_same_tokens(kind: str, texts: list[str]) -> None:
    tokenizer, _ = pruned(kind, texts)
    assert tokens(tokenizer, texts) == tokens(whole(kind), texts)


@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_of_a_pruned_tokenizer_says_the_same_to_transformers_and_to_tokenizers_alone(
    kind: str, tmp_path: Path
) -> None:
    tokenizer, _ = pruned(kind, CORPUS, min_count=3)
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    slim = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    expected = encode(tokenizer, CORPUS)
    assert encode(again, CORPUS) == expected
    slim.enable_truncation(tokenizer.model_max_length)
    slim.no_padding()
    assert [encoding.ids for encoding in slim.encode_batch(CORPUS)] == expected
    assert again.model_max_length == whole(kind).model_max_length
    for name in ("pad", "unk", "cls", "sep", "mask"):
        assert getattr(again, f"{name}_token") == getattr(whole(kind), f"{name}_token")
        assert slim.token_to_id(getattr(again, f"{name}_token")) == getattr(again, f"{name}_token_id")
    assert {row[0] for row in expected} == {again.cls_token_id}
    assert {row[-1] for row in expected} == {again.sep_token_id}


@pytest.mark.parametrize("kind", SPLITTING)
def test_rare_tokens_go_and_an_unseen_word_is_split_rather_than_unknown(kind: str) -> None:
    texts = made_up_texts(0)
    often, _ = pruned(kind, texts, min_count=8)
    once, _ = pruned(kind, texts)
    assert len(often) < len(once) < len(whole(kind))
    unseen = [text.rstrip(" .!?\U0001f600") for text in made_up_texts(55)]
    assert unknown_fraction(once, count_tokens(once, [unseen])) == 0
    assert unknown_fraction(often, count_tokens(often, [unseen])) == 0
    assert count_tokens(often, [texts]).sum() >= count_tokens(once, [texts]).sum()


def test_a_word_that_is_kept_whole_or_not_at_all_becomes_unknown_and_is_counted() -> None:
    tokenizer, _ = pruned("WordLevel", ["tan"])
    counts = count_tokens(tokenizer, [["tan unheard tan of"]])
    assert unknown_fraction(whole("WordLevel"), count_tokens(whole("WordLevel"), [["tan unheard"]])) == 1.0
    assert 0 < unknown_fraction(tokenizer, counts) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_counted_the_same_whole_or_some_at_a_time_and_without_truncation(kind: str) -> None:
    long = " ".join(CORPUS)
    at_once = count_tokens(whole(kind), [[*CORPUS, long]])
    np.testing.assert_array_equal(at_once, count_tokens(whole(kind), ([text] for text in [*CORPUS, long])))
    assert at_once.sum() > 2 * whole(kind).model_max_length
    assert len(encode(whole(kind), [long])[0]) == whole(kind).model_max_length  # counting changed no setting


def test_the_tokenizer_that_is_pruned_stays_as_it_is() -> None:
    tokenizer = KINDS["WordPiece"]()
    before = tokenizer.backend_tokenizer.to_str()
    prune_tokenizer(tokenizer, count_tokens(tokenizer, [["tan"]]), min_count=1)
    assert tokenizer.backend_tokenizer.to_str() == before


def test_padding_written_into_the_file_gets_the_new_id() -> None:
    tokenizer = KINDS["WordLevel"]()
    tokenizer.backend_tokenizer.enable_padding(pad_id=tokenizer.pad_token_id, pad_token="[PAD]")
    small, old_ids = prune_tokenizer(tokenizer, count_tokens(tokenizer, [["tan"]]), min_count=1)
    assert small.pad_token_id < tokenizer.pad_token_id
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    assert cut_down(definition, old_ids)["padding"]["pad_id"] == small.pad_token_id


def test_a_kind_that_cannot_be_cut_down_is_refused() -> None:
    marked = Tokenizer(models.BPE(vocab={"a</w>": 0, "<pad>": 1}, merges=[], end_of_word_suffix="</w>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=marked, pad_token="<pad>")
    with pytest.raises(ModelError, match=r"(?s)cannot be pruned.*</w>.*kind: full"):
        prune_tokenizer(tokenizer, np.zeros(2, dtype=np.int64), min_count=1)
