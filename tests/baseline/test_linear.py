from typing import Any

import numpy as np
import pytest

from pipestill.baseline.linear import fit_and_score
from pipestill.baseline.params import BaselineParams
from pipestill.errors import DataError, ParamsError
from pipestill.params import parse_section
from pipestill.tasks.targets import LabelSet

SETTINGS: dict[str, Any] = {
    "analyzer": "word",
    "max_ngram": 2,
    "min_rows": 1,
    "max_features": 1000,
    "inverse_regularisation": [0.1, 10.0],
    "max_iterations": 500,
}


def labels(number: int) -> LabelSet:
    return LabelSet(labels=tuple(map(str, range(number))))


def make_params(**changes: object) -> BaselineParams:
    return BaselineParams.model_validate(SETTINGS | changes)


def make_rows(num_labels: int, per_label: int = 6) -> tuple[list[str], np.ndarray]:
    """Each label has a word of its own."""
    label_ids = np.repeat(np.arange(num_labels), per_label)
    return [f"the word{label_id} number {row}" for row, label_id in enumerate(label_ids)], label_ids


@pytest.mark.parametrize("num_labels", [2, 3, 40])
def test_words_that_tell_labels_apart_are_learned(num_labels: int) -> None:
    train = make_rows(num_labels)
    texts = [f"word{label_id}" for label_id in range(num_labels)]
    scores = fit_and_score(train, train, texts, labels(num_labels), make_params())
    assert scores.logits["test"].shape == (num_labels, num_labels)
    assert scores.logits["test"].dtype == np.float32
    assert scores.logits["test"].argmax(axis=1).tolist() == list(range(num_labels))


def test_two_labels_have_logits_whose_softmax_is_the_probability() -> None:
    train = make_rows(2)
    logits = fit_and_score(train, train, ["word1"], labels(2), make_params()).logits["test"]
    assert logits[0, 0] == 0
    assert logits[0, 1] > 0


def test_a_label_without_a_train_row_has_a_finite_logit_below_all_others() -> None:
    texts, label_ids = make_rows(3)
    logits = fit_and_score((texts, label_ids * 2), (texts, label_ids * 2), texts, labels(6), make_params()).logits[
        "test"
    ]
    assert np.isfinite(logits).all()
    assert set(logits.argmax(axis=1)) == {0, 2, 4}
    assert (logits[:, [1, 3, 5]].max(axis=1) < logits[:, [0, 2, 4]].min(axis=1)).all()


def test_the_regularisation_is_chosen_on_dev_and_the_first_of_the_best_is_kept() -> None:
    train = make_rows(2)
    assert fit_and_score(train, train, ["x"], labels(2), make_params()).inverse_regularisation == 0.1
    other_way = make_params(inverse_regularisation=[10.0, 0.1])
    assert fit_and_score(train, train, ["x"], labels(2), other_way).inverse_regularisation == 10.0


def test_fitting_twice_gives_the_same_logits() -> None:
    train = make_rows(5)
    first, second = (fit_and_score(train, train, train[0], labels(5), make_params()) for _ in range(2))
    assert np.array_equal(first.logits["test"], second.logits["test"])
    assert first.size_bytes == second.size_bytes


def test_text_without_spaces_is_learned_from_characters() -> None:
    texts, label_ids = ["很好看的电影", "非常好看", "难看的电影", "非常难看"] * 3, np.array([1, 1, 0, 0] * 3)
    rows = (texts, label_ids)
    scores = fit_and_score(rows, rows, ["好看", "难看"], labels(2), make_params(analyzer="char_wb"))
    assert scores.logits["test"].argmax(axis=1).tolist() == [1, 0]


def test_rows_with_nothing_to_count_are_refused() -> None:
    rows = (["🙂", "🙃"] * 3, np.array([0, 1] * 3))
    with pytest.raises(DataError, match="hold no feature"):
        fit_and_score(rows, rows, ["🙂"], labels(2), make_params())


def test_one_label_is_refused() -> None:
    rows = (["a word", "b word"], np.array([1, 1]))
    with pytest.raises(DataError, match="one label"):
        fit_and_score(rows, rows, ["a"], labels(2), make_params())


def test_params_that_make_no_sense_are_refused_by_name() -> None:
    with pytest.raises(ParamsError, match=r"baseline.inverse_regularisation"):
        parse_section({"baseline": SETTINGS | {"inverse_regularisation": []}}, "baseline", BaselineParams)
