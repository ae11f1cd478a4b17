import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from pipestill.errors import PredictError
from pipestill.predict import Classifier, main

# Hides everything an application would not have, then runs the command line.
WITHOUT_TRAINING_CODE = """
import sys
for name in ("torch", "transformers", "onnx", "pydantic", "datasets"):
    sys.modules[name] = None
from pipestill.predict import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact whose logits are the mean of its tokens' rows: `good` says yes, `bad` says no."""
    folder = tmp_path_factory.mktemp("artifact")
    (folder / "onnx").mkdir()
    table = numpy_helper.from_array(np.array([[0, 0, 0], [0, 0, 0], [5, 0, 1], [0, 5, 1]], dtype=np.float32), "table")
    axes = numpy_helper.from_array(np.array([1], dtype=np.int64), "axes")
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["logits"], keepdims=0),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "token"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, "g", [ids], [logits], [table, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "onnx/model_quantized.onnx"))
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"id2label": {"0": "yes", "1": "no", "2": "\u597d"}}))
    return folder


def run(folder: Path, stdin: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", WITHOUT_TRAINING_CODE, "predict", str(folder), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)


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
    assert [line.get("label", line.get("row")) for line in lines] == ["yes", 2, 3, "no"]
    assert b"-, row 2: the text is not valid UTF-8" in done.stderr


def test_a_reader_that_goes_away_ends_the_command_quietly(folder: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TRAINING_CODE, "predict", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
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
    assert [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()] == ["yes", "no"]


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "onnx/model_quantized.onnx"])
def test_a_folder_that_lacks_a_file_is_named(folder: Path, tmp_path: Path, file: str) -> None:
    for path in folder.rglob("*.*"):
        target = tmp_path / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        if str(path.relative_to(folder)) != file:
            target.write_bytes(path.read_bytes())
    with pytest.raises(PredictError, match=Path(file).name):
        Classifier(tmp_path)
