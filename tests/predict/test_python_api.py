"""What applications hand to the class: each is answered, or refused with its position; earlier answers are not lost."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipestill.errors import PredictError
from pipestill.predict import Classifier, TextError


@pytest.fixture(scope="module")
def folder(artifact: Path) -> Path:
    return artifact


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Classifier:
    return Classifier(folder)


COLLECTIONS: dict[str, Any] = {
    "a tuple": ("good", "bad"),
    "a column of a table": pd.Series(["good", "bad"], index=[7, 3]),
    "an array": np.array(["good", "bad"]),
    "an array of objects": np.array(["good", "bad"], dtype=object),
    "keys of a mapping, which have an order": list({"good": 1, "bad": 2}),
}


@pytest.mark.parametrize("case", COLLECTIONS)
def test_a_collection_of_texts_is_answered_text_by_text(classifier: Classifier, case: str) -> None:
    assert [answer.label for answer in classifier.predict(COLLECTIONS[case])] == ["yes", "no"]
    assert classifier.logits(COLLECTIONS[case], batch_size=1).shape == (2, 3)


def test_a_generator_is_answered(classifier: Classifier) -> None:
    assert [answer.label for answer in classifier.predict(text for text in ("good", "bad"))] == ["yes", "no"]
    assert classifier.logits(text for text in ("good", "bad")).shape == (2, 3)


NO_COLLECTIONS: dict[str, tuple[Any, str]] = {
    "a string": ("good film", "the texts are one string"),
    "bytes": (b"good", "the texts are bytes"),
    "a table": (pd.DataFrame({"text": ["good"]}), r"(?s)DataFrame.*predict\(table\[\"text\"\]\)"),
    "an array of two dimensions": (np.array([["good"]]), "more than one column"),
    "an array of none": (np.array("good"), "more than one column"),
    "nothing": (None, "of type NoneType"),
    "a number": (3, "of type int"),
    "NaN": (float("nan"), "of type float"),
    "a mapping": ({"text": "good"}, "of type dict"),
    "a set": ({"good"}, "whose order the predictions keep"),
}


@pytest.mark.parametrize("case", NO_COLLECTIONS)
def test_what_is_no_collection_of_texts_is_refused_at_once(classifier: Classifier, case: str) -> None:
    texts, message = NO_COLLECTIONS[case]
    for ask in (classifier.predict, classifier.stream, classifier.logits):
        with pytest.raises(PredictError, match=message):
            ask(texts)


@pytest.mark.parametrize("bad", [None, float("nan"), np.nan, 3, b"good", ["good"], ("a", "b"), "half \ud83d", pd.NA])
def test_a_text_that_is_none_is_named_by_its_position(classifier: Classifier, bad: Any) -> None:
    texts = ["good", "bad", bad, "good"]
    for batch_size in (1, 2, 3, 9):
        with pytest.raises(TextError, match="position 2") as caught:
            classifier.predict(texts, batch_size=batch_size)
        assert caught.value.position == 2
        assert [answer.label for answer in caught.value.predictions] == ["yes", "no"]
        streamed = []
        with pytest.raises(TextError, match="position 2"):
            streamed.extend(answer.label for answer in classifier.stream(iter(texts), batch_size=batch_size))
    with pytest.raises(TextError, match="position 2"):
        classifier.logits(texts)
    str(caught.value).encode()  # half of a pair in the message would be an error of its own


def test_a_stream_gives_the_answers_before_a_bad_text_first(classifier: Classifier) -> None:
    answers = classifier.stream(["good", "bad", None], batch_size=8)  # type: ignore[list-item]
    assert [next(answers).label, next(answers).label] == ["yes", "no"]
    with pytest.raises(TextError):
        next(answers)


def test_a_stream_whose_source_fails_gives_the_answers_before_first(classifier: Classifier) -> None:
    def texts() -> Iterator[str]:
        yield "good"
        raise OSError("gone")

    answers = classifier.stream(texts(), batch_size=8)
    assert next(answers).label == "yes"
    with pytest.raises(OSError, match="gone"):
        next(answers)


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", float("nan")])
def test_a_number_below_one_is_refused_by_its_name(classifier: Classifier, folder: Path, number: Any) -> None:
    for name in ("top_k", "batch_size"):
        with pytest.raises(PredictError, match=f"{name} must be at least 1"):
            classifier.predict(["good"], **{name: number})
    with pytest.raises(PredictError, match="threads must be at least 1"):
        Classifier(folder, threads=number)


def test_a_long_text_is_cut_before_it_is_tokenised(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    tokenise = classifier._tokenise

    def watched(texts: Any) -> Any:
        seen.extend(map(len, texts))
        return tokenise(texts)

    monkeypatch.setattr(classifier, "_tokenise", watched)
    assert classifier.logits(["good bad " * 10**6]).tolist() == [[10, 10, 4]]
    assert max(seen) < 10_000
    for whole in ("good" * 10**5, ". " * 10**5):
        assert classifier.shorten(whole) == whole


def test_a_text_whose_last_tokens_are_kept_is_not_cut(folder: Path, tmp_path: Path) -> None:
    left = tmp_path / "left"
    shutil.copytree(folder, left)
    tokenizer = (left / "tokenizer.json").read_text()
    assert '"Right"' in tokenizer
    (left / "tokenizer.json").write_text(tokenizer.replace('"Right"', '"Left"', 1))
    assert Classifier(left).logits(["good " * 10_000 + "bad bad bad bad"]).tolist() == [[0, 20, 4]]


def test_as_many_probabilities_as_asked_for(classifier: Classifier) -> None:
    for top_k, expected in ((1, 1), (np.int64(2), 2), (99, 3), (None, 3)):
        assert len(classifier.predict(["good"], top_k=top_k)[0].probabilities) == expected  # type: ignore[arg-type]


def test_a_folder_may_be_a_string(folder: Path) -> None:
    assert Classifier(str(folder)).predict(["good"])[0].label == "yes"


def test_a_folder_that_is_no_artifact_is_told_what_it_is_and_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("")
    found = {"absent": "no such folder", "file": "a file", "empty": "an empty folder", "other": "holds notes.txt"}
    for name, message in found.items():
        with pytest.raises(PredictError, match=f"(?s){message}.*make repro.*models/onnx"):
            Classifier(tmp_path / name)
    for folder in (None, 3, b"models"):
        with pytest.raises(PredictError, match="is not a path"):
            Classifier(folder)  # type: ignore[arg-type]
