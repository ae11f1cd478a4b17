from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipestill.data.tables import Rows
from pipestill.errors import ModelError
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.scoring import (
    SENSITIVITY_ROWS,
    batch_sensitivity,
    by_length,
    in_order,
    one_by_one,
    run_batches,
    score_torch,
)
from pipestill.fingerprint import sha256_file
from pipestill.tasks import CLASSES
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, predict_logits


class Runner:
    """Answers with the length of a text, plus `padding` for each character that padding adds."""

    labels = ("no", "yes")

    def __init__(self, padding: float = 0.0) -> None:
        self.padding = padding
        self.batches: list[int] = []

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        self.batches.append(len(texts))
        lengths = np.array([len(text) for text in texts], dtype=np.float32)
        added = self.padding * (lengths.max() - lengths)
        return np.stack([np.zeros_like(lengths), lengths - 2 + added], axis=1).astype(np.float32)


TEXTS = ["aaaa", "a", "aaa", "aa", "aaaaa"]


@pytest.mark.parametrize("batches", [one_by_one(5), in_order(5, 2), by_length(TEXTS, 2), by_length(TEXTS, 64)])
def test_logits_come_back_in_the_order_of_the_texts(batches: list[list[int]]) -> None:
    assert run_batches(Runner(), TEXTS, batches, "texts")[:, 1].tolist() == [2, -1, 1, 0, 3]


def test_batches_hold_every_row_once() -> None:
    assert one_by_one(3) == [[0], [1], [2]]
    assert in_order(5, 2) == [[0, 1], [2, 3], [4]]
    assert by_length(TEXTS, 2) == [[1, 3], [2, 0], [4]]
    assert in_order(0, 2) == []


def test_a_model_that_ignores_padding_is_not_sensitive_to_the_batch() -> None:
    rows, runner = Rows(list("abcde"), TEXTS, np.array([1, 0, 1, 0, 1])), Runner()
    alone = run_batches(runner, TEXTS, one_by_one(5), "alone")
    found = batch_sensitivity(CLASSES, runner, rows, alone, 2)
    assert found.in_row_order.max_abs_logit_difference == 0
    assert found.sorted_by_length.agreement == 1
    assert found.quality_alone == found.quality_in_row_order == 1
    assert runner.batches == [1] * 5 + [2, 2, 1] * 2
    assert found.num_rows == 5


def test_batches_are_compared_on_no_more_rows_than_a_difference_needs() -> None:
    num_rows = SENSITIVITY_ROWS + 100
    rows = Rows([str(row) for row in range(num_rows)], ["aa"] * num_rows, np.zeros(num_rows, dtype=np.int64))
    runner = Runner()
    alone = np.zeros((num_rows, 2), dtype=np.float32)
    assert batch_sensitivity(CLASSES, runner, rows, alone, 64).num_rows == SENSITIVITY_ROWS
    assert sum(runner.batches) == 2 * SENSITIVITY_ROWS


def test_padding_that_moves_logits_is_seen_and_more_so_without_sorting() -> None:
    rows, runner = Rows(list("abcde"), TEXTS, np.array([1, 0, 1, 0, 1])), Runner(padding=0.5)
    alone = run_batches(runner, TEXTS, one_by_one(5), "alone")
    found = batch_sensitivity(CLASSES, runner, rows, alone, 2)
    # in row order "a" is padded by 3; sorted, no text is padded by more than 1
    assert found.in_row_order.max_abs_logit_difference == 1.5
    assert found.sorted_by_length.max_abs_logit_difference == 0.5
    assert found.in_row_order.agreement == 3 / 5
    assert found.quality_in_row_order == 3 / 5


def test_a_pytorch_folder_is_scored_as_the_teacher_room_does(
    teacher_folder: Path, teacher: TorchClassifier, texts: list[str], labels: LabelSet, params: EvaluateParams
) -> None:
    rows = {"test": Rows(texts, texts, np.zeros(len(texts), dtype=np.int64))}
    scored = score_torch(teacher_folder, rows, labels, params)
    expected = predict_logits(teacher, texts, batch_size=4, precision="float32")
    assert np.array_equal(scored.logits["test"], expected)
    assert scored.files["model.safetensors"] == sha256_file(teacher_folder / "model.safetensors")
    assert "tokenizer.json" in scored.files
    assert scored.size_bytes == (teacher_folder / "model.safetensors").stat().st_size


def test_a_model_with_labels_in_another_order_is_refused(
    teacher_folder: Path, labels: LabelSet, params: EvaluateParams
) -> None:
    with pytest.raises(ModelError, match="other labels"):
        score_torch(teacher_folder, {}, LabelSet(labels=labels.labels[::-1]), params)
