"""Artifact folders that cannot work: each is refused with a plain message, before or at the first batch."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipestill.errors import PredictError
from pipestill.predict import Classifier, TextError
from pipestill.predict.bounds import MOST_THREADS, MOST_TOKENS
from pipestill.predict.command import main

MODEL = "onnx/model_quantized.onnx"


@pytest.fixture
def folder(artifact: Path, tmp_path: Path) -> Path:
    """A copy of the artifact, to be broken."""
    copy = tmp_path / "artifact"
    shutil.copytree(artifact, copy)
    return copy


def edit(folder: Path, file: str, change: Callable[[Any], object]) -> None:
    content = json.loads((folder / file).read_text())
    change(content)
    (folder / file).write_text(json.dumps(content))


def replace(folder: Path, old: bytes, new: bytes) -> None:
    """Edit the model in place: onnx, which could write another one, is not where the runner is."""
    content = (folder / MODEL).read_bytes()
    assert len(old) == len(new)
    assert old in content
    (folder / MODEL).write_bytes(content.replace(old, new))


def spoil(folder: Path, logit: float) -> None:
    """Give the token `bad` a logit that is not finite."""
    replace(folder, struct.pack("<3f", 0, 5, 1), struct.pack("<3f", logit, 5, 1))


LABELS: dict[str, tuple[Any, str]] = {
    "a name twice": ({"0": "a", "1": "a", "2": "b"}, r"more than once: \['a'\]"),
    "one too many": ({"0": "a", "1": "b", "2": "c", "3": "d"}, "3 logits a text, 4 labels"),
    "one too few": ({"0": "a", "1": "b"}, "3 logits a text, 2 labels"),
    "none": ({}, "not strings"),
    "a number": ({"0": "a", "1": "b", "2": 3}, "not strings"),
    "half a pair": ({"0": "a", "1": "b", "2": "\ud83d"}, "whole characters"),
    "a gap": ({"0": "a", "1": "b", "3": "c"}, "KeyError"),
    "a list": (["a", "b", "c"], "TypeError"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_that_do_not_name_each_logit_are_refused(folder: Path, case: str) -> None:
    names, message = LABELS[case]
    edit(folder, "config.json", lambda config: config.update(id2label=names))
    with pytest.raises(PredictError, match=message):
        Classifier(folder)


def test_a_model_of_free_width_is_held_against_the_labels_when_it_answers(folder: Path) -> None:
    classifier = Classifier(folder)
    classifier.labels = ("a", "b")
    with pytest.raises(PredictError, match="3 logits a text, 2 labels"):
        classifier.predict(["good"])


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "[]", "\0", '{"id2label": null}'])
def test_a_config_that_is_no_config_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(PredictError, match="does not name labels"):
        Classifier(folder)


def test_a_problem_type_that_is_no_name_is_refused(folder: Path) -> None:
    edit(folder, "config.json", lambda config: config.update(problem_type=["x"]))
    with pytest.raises(PredictError, match="declares a task"):
        Classifier(folder)


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_not_finite_spoil_their_own_row(
    folder: Path, tmp_path: Path, logit: float, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(folder, logit)
    for batch_size in (1, 2, 9):
        with pytest.raises(TextError, match=r"(?s)position 3.*not finite") as caught:
            Classifier(folder).predict(["good", "other", "good", "bad", "good"], batch_size=batch_size)
        assert [answer.label for answer in caught.value.predictions] == ["yes", "yes", "yes"]
    (tmp_path / "texts.txt").write_text("good\nbad\ngood\n")
    assert main(["predict", str(folder), str(tmp_path / "texts.txt"), "--batch-size", "3"]) == 3
    out, err = capsys.readouterr()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    problem = "the model's logits are not finite numbers"
    assert [line.get("label", line.get("error")) for line in lines] == ["yes", problem, "yes"]
    assert f"line 2: {problem}\n1 row could not be classified" in err


def test_a_model_with_other_names_is_refused_when_it_is_opened(folder: Path, artifact: Path) -> None:
    for old, new, message in (
        (b"logits", b"scores", "outputs scores"),
        (b"input_ids", b"inputs_id", "inputs inputs_id"),
    ):
        shutil.copy(artifact / MODEL, folder / MODEL)
        replace(folder, old, new)
        with pytest.raises(PredictError, match=f"(?s)is not a text classifier.*{message}"):
            Classifier(folder)


def test_a_model_that_gives_one_row_for_two_texts_is_refused(folder: Path) -> None:
    axes = np.array([1], dtype=np.int64).tobytes()
    replace(folder, axes, np.array([0], dtype=np.int64).tobytes())
    with pytest.raises(PredictError, match=r"(?s)text by text.*\[1, 3\] for 2 texts"):
        Classifier(folder).predict(["good", "bad"], batch_size=2)


def test_ids_beyond_the_table_are_refused(folder: Path) -> None:
    edit(folder, "tokenizer.json", lambda tokenizer: tokenizer["model"]["vocab"].update(other=4))
    with pytest.raises(PredictError, match=r"(?s)cannot compute these texts.*out of data bounds.*belong together"):
        Classifier(folder).predict(["other"])


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", MODEL])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_file_that_is_not_regular_is_refused_and_not_opened(folder: Path, file: str, kind: str) -> None:
    path = folder / file
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(PredictError, match="not a regular file"):
        Classifier(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_file_of_json_that_fills_the_memory_is_refused(folder: Path, file: str) -> None:
    os.truncate(folder / file, 1 << 29)
    with pytest.raises(PredictError, match="536870912 bytes, where at most"):
        Classifier(folder)


@pytest.mark.parametrize("length", [MOST_TOKENS + 1, 2_000_000_000])
def test_a_tokenizer_that_makes_endless_inputs_is_refused(folder: Path, artifact: Path, length: int) -> None:
    changes: dict[str, Callable[[Any], object]] = {
        "padding.length": lambda found: found["padding"].update(strategy={"Fixed": length}),
        "padding.pad_to_multiple_of": lambda found: found["padding"].update(pad_to_multiple_of=length),
        "truncation.max_length": lambda found: found["truncation"].update(max_length=length),
    }
    for name, change in changes.items():
        shutil.copy(artifact / "tokenizer.json", folder)
        edit(folder, "tokenizer.json", change)
        with pytest.raises(PredictError, match=f"{name} {length}"):
            Classifier(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["truncation"].update(stride=9),  # a panic of its Rust code
        lambda found: found["truncation"].update(strategy="OnlySecond"),
        lambda found: found["model"].update(unk_token="none"),
    ],
)
def test_a_tokenizer_that_fails_on_a_text_is_refused(folder: Path, change: Callable[[Any], object]) -> None:
    edit(folder, "tokenizer.json", change)
    with pytest.raises(PredictError, match=r"tokenizer.json cannot encode these texts"):
        Classifier(folder).predict(["good other good other good other"])


def test_threads_have_a_limit(folder: Path) -> None:
    with pytest.raises(PredictError, match=f"threads must be at most {MOST_THREADS}"):
        Classifier(folder, threads=10**6)
