from pathlib import Path

import numpy as np
import pytest

from pipestill.errors import RecordError
from pipestill.evaluation.predictions import Predictions, join_logits, read_predictions, write_predictions
from pipestill.fingerprint import sha256_file


def make(names: str, num_labels: int = 3) -> Predictions:
    rows = np.arange(len(names) * num_labels, dtype=np.float32).reshape(len(names), num_labels)
    return Predictions(tuple(names), np.arange(len(names)) % num_labels, {"torch": rows, "onnx_int8": rows + 0.5})


@pytest.mark.parametrize("num_labels", [2, 3, 300])
def test_what_is_written_is_read_split_by_split(tmp_path: Path, num_labels: int) -> None:
    splits = {"dev": make("abc", num_labels), "test": make("xy", num_labels)}
    write_predictions(tmp_path / "p.parquet", splits)
    for split, written in splits.items():
        read = read_predictions(tmp_path / "p.parquet", split)
        assert read.content_ids == written.content_ids
        assert read.label_ids.tolist() == written.label_ids.tolist()
        assert read.logits.keys() == written.logits.keys()
        for variant, logits in written.logits.items():
            assert read.logits[variant].dtype == np.float32
            assert np.array_equal(read.logits[variant], logits)


def test_equal_predictions_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_predictions(tmp_path / name, {"dev": make("abc"), "test": make("xy")})
    assert sha256_file(tmp_path / "first") == sha256_file(tmp_path / "second")


def test_logits_are_joined_by_content_id_not_by_position() -> None:
    predictions = make("abc")
    assert join_logits(predictions, "torch", ("c", "a")).tolist() == [[6, 7, 8], [0, 1, 2]]


def test_a_row_that_was_not_scored_is_refused() -> None:
    with pytest.raises(RecordError, match=r"1 of 2 rows are missing, such as z"):
        join_logits(make("abc"), "torch", ("a", "z"))


def test_an_unknown_variant_or_split_or_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="lack the logits 'linear'"):
        join_logits(make("abc"), "linear", ("a",))
    write_predictions(tmp_path / "p.parquet", {"dev": make("abc")})
    with pytest.raises(RecordError, match="lack the split 'test'"):
        read_predictions(tmp_path / "p.parquet", "test")
    with pytest.raises(RecordError, match="cannot be read"):
        read_predictions(tmp_path / "absent.parquet", "test")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(RecordError, match="cannot be read"):
        read_predictions(tmp_path / "broken.parquet", "test")
