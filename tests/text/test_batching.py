"""Batching: every row once, similar lengths together, padding that changes nothing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipestill.teacher import TorchClassifier
from pipestill.text.batching import collate, length_bucketed_order, length_sorted_batches
from pipestill.text.tokenizer import encode

lengths_lists = st.lists(st.integers(1, 200), min_size=1, max_size=300)


@given(lengths_lists, st.integers(1, 17), st.integers(0, 5))
def test_every_row_comes_once_in_training(lengths: list[int], batch_size: int, seed: int) -> None:
    assert sorted(length_bucketed_order(lengths, batch_size, seed)) == list(range(len(lengths)))


@given(lengths_lists, st.integers(1, 17))
def test_every_row_comes_once_in_inference_and_the_longest_first(lengths: list[int], batch_size: int) -> None:
    batches = length_sorted_batches(lengths, batch_size)
    order = [row for batch in batches for row in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths, reverse=True)
    assert all(len(batch) == batch_size for batch in batches[:-1])


def test_the_order_is_a_function_of_the_seed_and_differs_between_seeds() -> None:
    lengths = list(range(1, 100))
    first = list(length_bucketed_order(lengths, 8, 1))
    assert first == list(length_bucketed_order(lengths, 8, 1))
    assert first != list(length_bucketed_order(lengths, 8, 2))


def test_bucketing_removes_most_of_the_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, 4000)
    order = np.fromiter(length_bucketed_order(lengths.tolist(), 32, 0), dtype=int)
    batches = lengths[order].reshape(-1, 32)
    padding = 1 - lengths.sum() / (batches.max(axis=1) * 32).sum()
    assert padding < 0.05  # in random order it is about 0.45


def test_padding_is_the_padding_token_and_is_masked() -> None:
    batch = collate([[5, 6, 7], [8]], pad_token_id=9)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_32_more_columns_of_padding_change_no_logit(teacher: TorchClassifier, texts: list[str]) -> None:
    rows = encode(teacher.tokenizer, texts[:6])
    short = collate(rows, teacher.tokenizer.pad_token_id)
    extra = 32
    long = {
        "input_ids": torch.nn.functional.pad(short["input_ids"], (0, extra), value=teacher.tokenizer.pad_token_id),
        "attention_mask": torch.nn.functional.pad(short["attention_mask"], (0, extra)),
    }
    with torch.no_grad():
        difference = teacher.model(**short).logits - teacher.model(**long).logits
    assert difference.abs().max().item() < 1e-5


def test_a_text_is_cut_at_the_longest_input(teacher: TorchClassifier) -> None:
    rows = encode(teacher.tokenizer, ["good " * 100, "good"])
    assert [len(row) for row in rows] == [24, 3]
    assert rows[0][-1] == teacher.tokenizer.sep_token_id


def test_no_texts_are_no_rows(teacher: TorchClassifier) -> None:
    assert encode(teacher.tokenizer, []) == []


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    from pipestill.errors import ModelError
    from pipestill.text.tokenizer import load_tokenizer

    with pytest.raises(ModelError, match="has no tokenizer"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_that_is_cut_short_is_named(teacher_folder: Path, tmp_path: Path) -> None:
    from pipestill.errors import ModelError
    from pipestill.text.tokenizer import load_tokenizer

    folder = shutil.copytree(teacher_folder, tmp_path / "teacher")
    (folder / "tokenizer.json").write_text('{"version": "1.0", "added_tokens": [')
    with pytest.raises(ModelError, match="has no tokenizer that can be loaded"):
        load_tokenizer(folder)
