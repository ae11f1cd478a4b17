import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipestill.errors import PredictError
from pipestill.predict import Classifier, Row, command
from pipestill.predict.command import main

# Hides everything an application would not have, then runs the command line.
WITHOUT_TRAINING_CODE = """
import sys
for name in ("torch", "transformers", "onnx", "pydantic", "datasets"):
    sys.modules[name] = None
from pipestill.predict.command import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def folder(artifact: Path) -> Path:
    return artifact


def run(folder: Path, stdin: bytes, *arguments: str, **extra: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", WITHOUT_TRAINING_CODE, "predict", str(folder), *arguments]
    environment = {**os.environ, **extra}
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60, env=environment)


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The command, waiting for rows; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-c", WITHOUT_TRAINING_CODE, "predict", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A runner in the background ignores Ctrl-C, and what it starts would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (no thread takes part)
    )


def test_a_text_gets_its_label_score_and_probabilities(folder: Path) -> None:
    prediction = Classifier(folder).predict(["good"])[0]
    expected = np.exp([5, 0, 1]) / np.exp([5, 0, 1]).sum()
    assert prediction.label == "yes"
    assert prediction.score == pytest.approx(expected[0])
    assert list(prediction.probabilities) == ["yes", "\u597d", "no"]


def test_logits_keep_the_order_of_the_texts_at_any_batch_size(folder: Path) -> None:
    classifier = Classifier(folder)
    texts = ["good", "bad bad", "", "good " * 50]
    expected = [[5, 0, 1], [0, 10, 2], [0, 0, 0], [20, 0, 4]]
    for batch_size in (None, 1, 3):
        assert classifier.logits(texts, batch_size=batch_size).tolist() == expected
    assert classifier.logits([]).shape == (0, 3)
    assert classifier.predict([]) == []


def test_a_batch_of_no_texts_is_refused(folder: Path) -> None:
    classifier = Classifier(folder)
    for ask in (classifier.logits, classifier.predict):
        with pytest.raises(PredictError, match=r"(?s)batch_size 0.*1 or more"):
            ask(["good"], batch_size=0)


def test_a_stream_is_read_one_batch_at_a_time(folder: Path) -> None:
    read: list[str] = []

    def texts() -> Iterator[str]:
        while True:
            read.append("bad" if len(read) % 2 else "good")
            yield read[-1]

    predictions = Classifier(folder).stream(texts(), top_k=1, batch_size=3)
    assert [next(predictions).label for _ in range(4)] == ["yes", "no", "yes", "no"]
    assert len(read) == 6


def test_the_command_runs_where_neither_torch_nor_transformers_can_be_imported(folder: Path) -> None:
    done = run(folder, b"good\nbad\n", "--top-k", "1", "--batch-size", "2")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["label"] for line in lines] == ["yes", "no"]
    assert all(len(line["probabilities"]) == 1 for line in lines)


def test_bad_rows_are_reported_keep_their_place_and_end_in_code_3(folder: Path) -> None:
    done = run(folder, b"good\ncaf\xe9\n\nbad\n", "--batch-size", "3")
    assert done.returncode == 3
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.get("label", line.get("error")) for line in lines] == [
        "yes",
        "the text is not valid UTF-8",
        "the text is blank",
        "no",
    ]
    assert [line["line"] for line in lines] == [1, 2, 3, 4]
    assert done.stderr.splitlines() == [
        b"-, line 2: the text is not valid UTF-8",
        b"-, line 3: the text is blank",
        b"2 rows could not be classified",
    ]


def test_bad_rows_can_be_skipped_and_are_counted(folder: Path) -> None:
    done = run(folder, b"good\ncaf\xe9\nbad\n", "--skip-bad", "--batch-size", "2")
    assert (done.returncode, done.stderr) == (0, b"1 row skipped\n")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["line"], line["label"]) for line in lines] == [(1, "yes"), (3, "no")]


def test_output_is_utf_8_in_any_locale(folder: Path) -> None:
    done = run(folder, b"good\n", PYTHONIOENCODING="latin-1")
    assert "\u597d" in json.loads(done.stdout)["probabilities"]


def test_ctrl_c_ends_the_command_with_code_130_and_what_was_answered_stays(folder: Path) -> None:
    process = start(folder)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"good\n")
    process.stdin.flush()
    assert b"yes" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, b"", b"")


def test_a_reader_that_goes_away_ends_the_command_quietly(folder: Path) -> None:
    process = start(folder)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"good\n")
    process.stdin.flush()
    assert b"yes" in process.stdout.readline()  # answered while the input is still open
    process.stdout.close()
    _, stderr = process.communicate(b"good\n" * 100, timeout=60)
    assert (process.returncode, stderr) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--file", "onnx/none.onnx"], 1), (["no_such_file.txt"], 1), (["--batch-size", "0"], 2), (["--input", "xml"], 2)],
)
def test_the_exit_code_says_what_is_wrong(folder: Path, arguments: list[str], code: int) -> None:
    assert run(folder, b"", *arguments).returncode == code


def test_files_are_read_in_turn(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("a.csv", "text\ngood\n"), ("b.csv", "text\nbad\n")):
        (tmp_path / name).write_text(text)
    assert main(["predict", str(folder), str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), "--input", "csv"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(Path(line["input"]).name, line["line"], line["label"]) for line in lines] == [
        ("a.csv", 2, "yes"),
        ("b.csv", 2, "no"),
    ]


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "onnx/model_quantized.onnx"])
def test_a_folder_that_lacks_a_file_is_named(folder: Path, tmp_path: Path, file: str) -> None:
    for path in folder.rglob("*.*"):
        target = tmp_path / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        if str(path.relative_to(folder)) != file:
            target.write_bytes(path.read_bytes())
    with pytest.raises(PredictError, match=Path(file).name):
        Classifier(tmp_path)


def test_rows_before_a_mistake_of_the_input_are_answered(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(*_: object, **__: object) -> Iterator[Row]:
        yield Row(1, "good")
        raise PredictError("the disk is gone")

    monkeypatch.setattr(command, "read_rows", rows)
    (tmp_path / "a.txt").write_text("")
    assert main(["predict", str(folder), str(tmp_path / "a.txt"), "--batch-size", "8"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["label"] == "yes"
    assert "a.txt: the disk is gone" in err


def test_a_csv_whose_text_takes_many_lines_is_shown(folder: Path) -> None:
    done = run(folder, b'text\ngood\n"bad\n' + b"one, more\n" * 38 + b'end"\nbad\n', "--input", "csv")
    assert done.returncode == 0
    assert [json.loads(line)["line"] for line in done.stdout.splitlines()] == [2, 3, 43]
    assert b"1 text(s) have line ends; the longest, on line 3, takes 40 lines" in done.stderr


def test_columns_may_be_parted_by_another_separator(folder: Path) -> None:
    for option, content in ((";", b"id;text\n1;good\n"), ("TAB", b"id\ttext\n1\tgood\n")):
        done = run(folder, content, "--input", "csv", "--separator", option)
        assert json.loads(done.stdout)["label"] == "yes", done.stderr
    assert run(folder, b"", "--input", "csv", "--separator", ";;").returncode == 2


def test_without_a_champion_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    done = run(tmp_path / "models/champion", b"good\n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"models/champion is not an artifact folder" in done.stderr
    assert b"make repro" in done.stderr


def test_a_folder_of_another_task_is_refused_and_one_that_names_none_is_single_label(
    folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"problem_type": "regression"}))
    with pytest.raises(PredictError, match=r"(?s)declares a task.*problem_type 'regression'.*single_label"):
        Classifier(other)
    (other / "config.json").write_text(json.dumps({name: config[name] for name in config if name != "problem_type"}))
    assert Classifier(other).predict(["good"]) == Classifier(folder).predict(["good"])
