import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exporter_models import MAX_LENGTH, int8

from pipestill.errors import ExportError, GateError
from pipestill.exporters.artifact import DevRows, export_folder
from pipestill.exporters.gate import enforce_limits
from pipestill.exporters.model_card import CardFacts
from pipestill.exporters.params import ExportParams
from pipestill.exporters.quantised_share import QuantisedShare
from pipestill.exporters.records import ExportRecord, Int8Gate, headline
from pipestill.fingerprint import sha256_files
from pipestill.predict import Classifier
from pipestill.teacher import load_classifier, predict_logits

LAYOUT = {
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "onnx/model.onnx",
    "onnx/model_quantized.onnx",
}


def export(source: Path, target: Path, dev: DevRows, params: ExportParams, facts: CardFacts) -> ExportRecord:
    return export_folder("bert_l2", load_classifier(source), source, target, dev, params, lambda: facts)


def test_the_folder_holds_what_its_users_expect_and_nothing_of_this_machine(
    model_folder: Path, tmp_path: Path, dev: DevRows, params: ExportParams, facts: CardFacts
) -> None:
    target = tmp_path / "out"
    (target / "onnx").mkdir(parents=True)
    (target / "onnx" / "left_over.onnx").write_bytes(b"old")
    record = export(model_folder, target, dev, params, facts)
    files = sha256_files(target)
    assert set(files) == LAYOUT
    assert files["onnx/model_quantized.onnx"] == record.int8.sha256
    assert files["onnx/model.onnx"] == record.fp32.sha256
    assert json.loads((target / "config.json").read_text())["id2label"]["2"] == "positive"
    assert json.loads((target / "tokenizer_config.json").read_text())["model_max_length"] == MAX_LENGTH
    for path in target.rglob("*"):
        assert path.is_dir() or str(model_folder).encode() not in path.read_bytes()
    assert headline(record)["int8_size_bytes"] == record.int8.size_bytes


def test_predict_gives_the_logits_of_the_pytorch_model_and_truncates_like_it(
    model_folder: Path, tmp_path: Path, dev: DevRows, params: ExportParams, facts: CardFacts
) -> None:
    export(model_folder, tmp_path, dev, params, facts)
    long = ["good film " * 100, *dev.texts]
    expected = predict_logits(load_classifier(model_folder), long, batch_size=4, precision="float32")
    found = Classifier(tmp_path, file="onnx/model.onnx").logits(long)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_two_exports_are_byte_equal_even_in_processes_with_other_hash_seeds(model_folder: Path, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from pipestill.exporters._base import Shape
from pipestill.exporters.artifact import write_graph
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.trace import trace
from pipestill.teacher import load_classifier
traced = trace(load_classifier(Path(sys.argv[1])).model)
graph = OnnxFp32(kind="onnx_fp32", fuse=True).optimise(traced, Shape(4, 32)).model
int8 = Int8Dynamic(kind="int8_dynamic", per_channel=True, reduce_range=False, min_quantised_fraction=0.0,
                   max_size_fraction=1.0, max_accuracy_drop_fraction=1.0)
write_graph(graph, Path(sys.argv[2]) / "model.onnx")
write_graph(int8.convert(graph), Path(sys.argv[2]) / "int8.onnx")
"""
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        arguments = [sys.executable, "-W", "ignore", "-c", code, str(model_folder), str(tmp_path / seed)]
        subprocess.run(arguments, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""}, timeout=120)
    assert sha256_files(tmp_path / "1") == sha256_files(tmp_path / "2")


def test_parity_beyond_the_tolerance_is_an_error_and_no_warning(
    model_folder: Path, tmp_path: Path, dev: DevRows, params: ExportParams, facts: CardFacts
) -> None:
    strict = params.model_copy(update={"parity": params.parity.model_copy(update={"tolerance": 1e-12})})
    with pytest.raises(ExportError, match="does not compute what the PyTorch model computes"):
        export(model_folder, tmp_path, dev, strict, facts)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("min_quantised_fraction", 0.91), ("max_size_fraction", 0.29), ("max_accuracy_drop_fraction", 0.019)],
)
def test_a_missed_limit_of_the_int8_file_is_an_error_that_names_it(limit: str, value: float) -> None:
    gate = Int8Gate(
        num_rows=100,
        fp32_accuracy=0.9,
        accuracy=0.9,
        padded_accuracy=0.88,  # the worse of the two counts
        other_range_accuracy=0.9,
        batch_size=8,
        accuracy_drop_fraction=0.02,
        agreement_fraction=0.99,
        batch_agreement_fraction=0.98,
    )
    share = QuantisedShare(
        eligible_bytes=100, float_bytes=10, quantised_fraction=0.9, float_bytes_by_operator={"Gather": 10}
    )
    kept = {"min_quantised_fraction": 0.9, "max_size_fraction": 0.3, "max_accuracy_drop_fraction": 0.02}
    enforce_limits(int8(**kept), gate, share, 0.3)
    with pytest.raises(GateError, match=f"export.int8.{limit}"):
        enforce_limits(int8(**(kept | {limit: value})), gate, share, 0.3)


def test_an_export_that_misses_a_limit_fails(
    model_folder: Path, tmp_path: Path, dev: DevRows, params: ExportParams, facts: CardFacts
) -> None:
    strict = params.model_copy(update={"int8": int8(max_size_fraction=0.01)})
    with pytest.raises(GateError, match="max_size_fraction"):
        export(model_folder, tmp_path, dev, strict, facts)


def test_the_card_names_data_limits_licences_and_files(
    model_folder: Path, tmp_path: Path, dev: DevRows, params: ExportParams, facts: CardFacts
) -> None:
    record = export(model_folder, tmp_path, dev, params, facts)
    card = (tmp_path / "README.md").read_text()
    for needed in (record.int8.sha256, record.source_sha256, "tiny films", "CC0 1.0", "## Limits", "From: nowhere"):
        assert needed in card
