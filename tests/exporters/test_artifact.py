import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exporter_models import MAX_LENGTH, graph_of, int8
from onnx import ModelProto, helper

from pipestill.errors import ExportError, GateError
from pipestill.exporters import artifact
from pipestill.exporters._graph import write_graph
from pipestill.exporters.artifact import DevRows, export_folder
from pipestill.exporters.gate import enforce_limits, score_int8, sign_test
from pipestill.exporters.params import ExportParams
from pipestill.exporters.quantised_share import QuantisedShare
from pipestill.exporters.records import CardContent, ExportRecord, Int8Gate, headline
from pipestill.exporters.session import compute_logits, open_session, pad
from pipestill.fingerprint import sha256_files
from pipestill.predict import Classifier
from pipestill.tasks import CLASSES
from pipestill.teacher import load_classifier, predict_logits

LAYOUT = {
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
    "onnx/model.onnx",
    "onnx/model_quantized.onnx",
}


def export(source: Path, target: Path, dev: DevRows, params: ExportParams, card_content: CardContent) -> ExportRecord:
    return export_folder(
        "bert_l2", load_classifier(source), source, target, dev, dev.texts, params, lambda: card_content
    )


def test_the_folder_holds_what_its_users_expect_and_nothing_of_this_machine(
    model_folder: Path, exported: tuple[Path, ExportRecord]
) -> None:
    target, record = exported
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
    model_folder: Path, exported: tuple[Path, ExportRecord], dev: DevRows
) -> None:
    long = ["good film " * 100, *dev.texts]
    expected = predict_logits(load_classifier(model_folder), long, batch_size=4, precision="float32")
    found = Classifier(exported[0], file="onnx/model.onnx").logits(long)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_two_exports_are_byte_equal_even_in_processes_with_other_hash_seeds(
    model_folder: Path, exported: tuple[Path, ExportRecord], tmp_path: Path
) -> None:
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
int8 = Int8Dynamic(kind="int8_dynamic", per_channel=True, reduce_range=True, min_quantised_fraction=0.0,
                   max_size_fraction=1.0, max_quality_drop_fraction=1.0)
write_graph(graph, Path(sys.argv[2]) / "model.onnx")
write_graph(int8.convert(graph), Path(sys.argv[2]) / "model_quantized.onnx")
"""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    arguments = [sys.executable, "-W", "ignore", "-c", code, str(model_folder), str(tmp_path)]
    subprocess.run(arguments, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""}, timeout=120)
    assert sha256_files(tmp_path) == sha256_files(exported[0] / "onnx")


def test_parity_beyond_the_tolerance_is_an_error_and_no_warning(
    model_folder: Path, tmp_path: Path, dev: DevRows, params: ExportParams, card_content: CardContent
) -> None:
    strict = params.model_copy(update={"parity": params.parity.model_copy(update={"tolerance": 1e-12})})
    with pytest.raises(ExportError, match="differ from those of the PyTorch model"):
        export(model_folder, tmp_path, dev, strict, card_content)


SHARE = QuantisedShare(
    eligible_bytes=100,
    total_bytes=100,
    float_bytes=10,
    quantised_fraction=0.9,
    total_quantised_fraction=0.9,
    float_bytes_by_operator={"Gather": 10},
)


def gate_of(num_rows: int, num_lost: int, num_gained: int) -> Int8Gate:
    drop = (num_lost - num_gained) / num_rows
    return Int8Gate(
        num_rows=num_rows,
        fp32_quality=0.9,
        quality=0.9,
        padded_quality=0.9 - drop,
        other_range_quality=0.9,
        batch_size=8,
        num_lost=num_lost,
        num_gained=num_gained,
        quality_drop_fraction=drop,
        p_value=sign_test(num_lost, num_gained),
        agreement_fraction=0.99,
        batch_agreement_fraction=0.98,
    )


@pytest.mark.parametrize(
    ("limit", "value"),
    [("min_quantised_fraction", 0.91), ("max_size_fraction", 0.29), ("max_quality_drop_fraction", 0.019)],
)
def test_a_missed_limit_of_the_int8_file_is_an_error_that_names_it(limit: str, value: float) -> None:
    gate = gate_of(1000, 20, 0)
    kept = {"min_quantised_fraction": 0.9, "max_size_fraction": 0.3, "max_quality_drop_fraction": 0.02}
    enforce_limits(int8(**kept), gate, SHARE, 0.3)
    with pytest.raises(GateError, match=f"export.int8.{limit}"):
        enforce_limits(int8(**(kept | {limit: value})), gate, SHARE, 0.3)


@pytest.mark.parametrize(
    ("num_rows", "num_lost", "num_gained", "passes"),
    [
        (30, 1, 0, True),  # 3% of the rows, and chance
        (30, 4, 0, True),
        (30, 5, 0, False),
        (30, 14, 1, False),  # a broken file
        (1000, 30, 2, False),
        (1000, 60, 45, True),  # 1.5% on rows that go either way
    ],
)
def test_a_drop_fails_where_it_is_beyond_the_limit_and_more_than_chance(
    num_rows: int, num_lost: int, num_gained: int, passes: bool
) -> None:
    strict = int8(max_quality_drop_fraction=0.01)
    if passes:
        enforce_limits(strict, gate_of(num_rows, num_lost, num_gained), SHARE, 0.3)
        return
    with pytest.raises(GateError, match=f"of {num_rows} dev rows {num_lost} lost, {num_gained} gained"):
        enforce_limits(strict, gate_of(num_rows, num_lost, num_gained), SHARE, 0.3)


def test_a_drop_within_the_limit_passes_however_sure_it_is() -> None:
    enforce_limits(int8(max_quality_drop_fraction=0.01), gate_of(1000, 9, 0), SHARE, 0.3)


def test_a_drop_just_beyond_the_limit_does_not_read_as_the_limit() -> None:
    gate = gate_of(100_000, 1_003, 0)
    with pytest.raises(GateError, match=r"found: +export\.int8\.max_quality_drop_fraction: 0\.0101\n"):
        enforce_limits(int8(max_quality_drop_fraction=0.01), gate, SHARE, 0.3)


def test_the_sign_test_is_exact() -> None:
    assert sign_test(0, 0) == 1
    assert sign_test(1, 0) == 1 / 2
    assert sign_test(3, 1) == 5 / 16  # of 16 ways four rows can fall
    assert sign_test(1, 3) == 15 / 16
    assert sign_test(3_000, 2_000) < 1e-40


def test_lost_and_gained_rows_are_counted_on_the_files_as_written(tmp_path: Path) -> None:
    rows = [[2, 4 + row, 3] for row in range(30)]
    fp32, flipped = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    graph = graph_of("bert").model
    write_graph(graph, fp32)
    right = np.array([compute_logits(open_session(fp32), pad([row], pad_id=0)).argmax() for row in rows])
    write_graph(with_opposite_answers(graph), flipped)
    gate = score_int8(fp32, flipped, graph, rows, right, CLASSES, pad_id=0, batch_size=8)
    assert (gate.num_lost, gate.num_gained) == (30, 0)
    assert gate.quality_drop_fraction == pytest.approx(gate.fp32_quality - gate.quality)
    wrong = score_int8(flipped, fp32, graph, rows, right, CLASSES, pad_id=0, batch_size=8)
    assert (wrong.num_lost, wrong.num_gained) == (0, 30)
    with pytest.raises(GateError, match="max_quality_drop_fraction"):
        enforce_limits(int8(max_quality_drop_fraction=0.01), gate, SHARE, 0.3)


@pytest.mark.parametrize(("file", "error"), [("model.onnx", ExportError), ("model_quantized.onnx", GateError)])
def test_a_file_that_is_not_what_was_computed_fails_the_export(
    file: str,
    error: type[ExportError],
    model_folder: Path,
    tmp_path: Path,
    dev: DevRows,
    params: ExportParams,
    card_content: CardContent,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write_something_else(model: ModelProto, path: Path) -> None:
        write_graph(with_opposite_answers(model) if path.name == file else model, path)

    monkeypatch.setattr(artifact, "write_graph", write_something_else)
    logits = predict_logits(load_classifier(model_folder), dev.texts, batch_size=4, precision="float32")
    labelled = DevRows(dev.texts, logits.argmax(axis=1).astype(np.int64))
    strict = params.model_copy(update={"int8": int8(max_quality_drop_fraction=0.01)})
    with pytest.raises(error):
        export(model_folder, tmp_path, labelled, strict, card_content)


def with_opposite_answers(model: ModelProto) -> ModelProto:
    """The graph with negated logits: of three labels it never answers the same one."""
    copy = ModelProto()
    copy.CopyFrom(model)
    maker = next(node for node in copy.graph.node if "logits" in node.output)
    maker.output[list(maker.output).index("logits")] = "before"
    copy.graph.node.append(helper.make_node("Neg", ["before"], ["logits"]))
    return copy


def test_an_export_that_misses_a_limit_fails(
    model_folder: Path, tmp_path: Path, dev: DevRows, params: ExportParams, card_content: CardContent
) -> None:
    strict = params.model_copy(update={"int8": int8(max_size_fraction=0.01)})
    with pytest.raises(GateError, match="max_size_fraction"):
        export(model_folder, tmp_path, dev, strict, card_content)


def test_the_card_names_data_limits_licences_files_and_the_cleaning(exported: tuple[Path, ExportRecord]) -> None:
    target, record = exported
    card = (target / "README.md").read_text()
    for needed in (record.int8.sha256, record.source_sha256, "tiny films", "CC0 1.0", "## Limits", "From: nowhere"):
        assert needed in card
    assert "figures are for text cleaned as the pipeline's data/prepared/card.md says" in card


def test_a_config_of_our_own_architecture_is_given_out_as_one_that_clients_know() -> None:
    own = {"model_type": "something_of_our_own", "vocab_size": 9, "pad_token_id": 0, "num_experts": 3}
    readable = artifact.readable_config(own)
    assert readable == {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "vocab_size": 9,
        "pad_token_id": 0,
        "pipestill": own,
    }
    stock = {"model_type": "albert", "hidden_size": 3}
    assert artifact.readable_config(stock) == stock


def test_the_tokenizer_s_class_is_one_that_older_transformers_know_too(exported: tuple[Path, ExportRecord]) -> None:
    settings = json.loads((exported[0] / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] != "TokenizersBackend"
