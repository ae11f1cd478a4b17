"""Every registered format of `export.more`, without being named: made, measured, scored, timed, shown and packaged."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from exporter_models import EXPORTERS, FURTHER, MAX_LENGTH, VOCABULARY, further, graph_of, kind_of, model_of
from pydantic import ValidationError

from evaluation.labelled_tables import SETTINGS, write_rows
from pipestill.benchmark.subjects import list_subjects
from pipestill.benchmark.worker import open_subject
from pipestill.errors import ExportError, GateError
from pipestill.evaluation.build import build_evaluation
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.predictions import write_predictions
from pipestill.evaluation.scoring import score_variants
from pipestill.exporters._base import Exporter, FurtherExporter
from pipestill.exporters.artifact import DevRows, export_folder, torch_logits
from pipestill.exporters.params import ExportParams
from pipestill.exporters.parity import measure_parity
from pipestill.exporters.records import CardContent, ExportRecord, headline
from pipestill.exporters.session import compute_logits, open_session, pad
from pipestill.predict import Classifier
from pipestill.records import read_record, write_json
from pipestill.reporting.package import package_champion
from pipestill.reporting.summary import summarise
from pipestill.reporting.tables import markdown_table
from pipestill.tasks import CLASSES
from pipestill.teacher import load_classifier
from pipestill.variants import FP32, INT8, exported_variants
from reporting.invented_records import ENVIRONMENT, REPORT

ROWS = [list(np.random.default_rng(row).integers(4, VOCABULARY, 3 + row % 12)) for row in range(24)]

of_each = pytest.mark.parametrize("exporter", FURTHER, ids=kind_of)


def test_no_two_formats_share_a_variant_or_a_file() -> None:
    assert len({exporter.variant.name for exporter in EXPORTERS}) == len(EXPORTERS)
    assert len({exporter.variant.file for exporter in EXPORTERS}) == len(EXPORTERS)


@pytest.mark.parametrize("exporter", EXPORTERS, ids=kind_of)
def test_importing_the_settings_of_a_format_imports_no_heavy_library(exporter: type[Exporter]) -> None:
    """`check` parses them at the start of every run."""
    code = f"import sys, {exporter.__module__}, pipestill.exporters.params\n"
    code += "print(sorted({'torch', 'transformers', 'onnx', 'onnxruntime'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@of_each
def test_the_graph_is_smaller_near_and_made_alike_of_a_graph_that_stays_as_it_is(
    family: str, exporter: type[FurtherExporter]
) -> None:
    graph = graph_of(family).model
    before = graph.SerializeToString(deterministic=True)
    first, second = (further(exporter).convert(graph) for _ in range(2))
    onnx.checker.check_model(first)
    written = first.SerializeToString(deterministic=True)
    assert written == second.SerializeToString(deterministic=True)
    assert graph.SerializeToString(deterministic=True) == before
    assert len(written) < len(before)
    session, logits = open_session(first), torch_logits(model_of(family))
    for batch in (pad(ROWS, pad_id=0), pad(ROWS[:1], pad_id=0, length=32)):
        expected = logits(batch)
        difference = compute_logits(session, batch) - expected
        assert np.sqrt(np.square(difference).mean()) < 0.35 * np.sqrt(np.square(expected).mean())


@pytest.fixture(scope="module")
def more(params: ExportParams) -> ExportParams:
    return params.model_copy(update={"more": tuple(further(exporter) for exporter in FURTHER)})


@pytest.fixture(scope="module")
def with_more(
    model_folder: Path,
    dev: DevRows,
    more: ExportParams,
    card_content: CardContent,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, ExportRecord]:
    """An artifact folder with every format there is, and its record."""
    target = tmp_path_factory.mktemp("onnx") / "small"
    classifier = load_classifier(model_folder)
    return target, export_folder("small", classifier, model_folder, target, dev, dev.texts, more, lambda: card_content)


def test_the_other_files_keep_their_bytes_and_the_record_its_keys(
    with_more: tuple[Path, ExportRecord], exported: tuple[Path, ExportRecord], tmp_path: Path
) -> None:
    (_, plain), (_, record) = exported, with_more
    assert (record.fp32, record.int8) == (plain.fp32, plain.int8)
    write_json(tmp_path / "plain.json", plain)
    assert '"more"' not in (tmp_path / "plain.json").read_text()
    for one in (plain, record):
        write_json(tmp_path / "record.json", one)
        assert read_record(tmp_path / "record.json", ExportRecord) == one


@of_each
def test_a_further_file_is_measured_recorded_and_named_on_the_card(
    with_more: tuple[Path, ExportRecord], dev: DevRows, model_folder: Path, exporter: type[FurtherExporter]
) -> None:
    target, record = with_more
    variant = exporter.variant
    found = record.more[variant.name]
    assert found.file.path == variant.file
    assert found.file.size_bytes == (target / variant.file).stat().st_size < record.fp32.size_bytes
    assert found.size_fraction == pytest.approx(found.file.size_bytes / record.fp32.size_bytes)
    assert 0 < found.parity.max_abs_difference <= found.parity.tolerance
    labels = Classifier(target, file=variant.file).logits(dev.texts, batch_size=1).argmax(axis=1)
    assert found.quality == pytest.approx((labels == dev.label_ids).mean())
    assert record.files[variant.name] == found.file
    assert headline(record)[f"{variant.dtype}_size_bytes"] == found.file.size_bytes
    card = (target / "README.md").read_text()
    assert f"| {variant.file} | {found.file.size_bytes} |" in card
    assert f"`pipestill predict FOLDER --file {variant.file}`" in card


@of_each
def test_a_further_file_is_scored_timed_shown_and_may_become_the_champion(
    with_more: tuple[Path, ExportRecord], model_folder: Path, exporter: type[FurtherExporter], tmp_path: Path
) -> None:
    target, export = with_more
    name = exporter.variant.name
    splits = {
        split: write_rows(tmp_path / f"{split}.parquet", 24, 3, seed) for seed, split in enumerate(("dev", "test"))
    }
    settings = EvaluateParams.model_validate(SETTINGS)
    labels = load_classifier(model_folder).labels
    scored = score_variants(model_folder, target, splits, labels, settings)
    assert list(scored) == ["torch", *(variant.name for variant in exported_variants(target))]
    assert (scored[name].batching is None) == exporter.variant.computes_in_floats
    teacher = build_evaluation("teacher", scored, splits, labels, settings, None)
    write_predictions(tmp_path / "teacher.parquet", teacher.predictions)
    small = build_evaluation("small", scored, splits, labels, settings, tmp_path / "teacher.parquet").record

    (subject,) = (one for one in list_subjects(model_folder, target.parent, ["small"])[1:] if one.variant == name)
    assert subject.sha256 in small.variants[name].files.values()
    runnable = open_subject(subject.variant, Path(subject.folder), subject.file)
    assert np.shape(runnable.run(runnable.encode(["good film"]))) == (1, 3)

    limits = dict.fromkeys(REPORT.constraints.model_dump(), 0.0)
    params = REPORT.model_validate(REPORT.model_dump() | {"variants": [name], "constraints": limits})
    summary = summarise([teacher.record, small], {}, ENVIRONMENT, params)
    assert summary.selection.champion == f"small/{name}"
    assert f"| **small** | **{exporter.variant.title}** |" in markdown_table(summary)
    package_champion(target, tmp_path / "champion", export, small, summary)
    card = (tmp_path / "champion/README.md").read_text()
    assert f"| **{exporter.variant.file}** |" in card
    assert (
        Classifier(tmp_path / "champion", file=exporter.variant.file).predict(["good film"])[0].label in labels.labels
    )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"tolerance": 1e-9},
            ExportError,
            r"logits of {file} differ.*at most 1.00e-09 apart.*`{kind}` under `export.more`",
        ),
        ({"max_size_fraction": 0.01}, GateError, r"{file} misses a limit.*at most 0.01.*`{kind}` under `export.more`"),
    ],
)
@of_each
def test_a_further_file_beyond_a_limit_of_its_own_fails_the_export_and_names_the_limit(
    exporter: type[FurtherExporter],
    change: dict[str, float],
    error: type[Exception],
    message: str,
    model_folder: Path,
    tmp_path: Path,
    dev: DevRows,
    params: ExportParams,
    card_content: CardContent,
) -> None:
    strict = params.model_copy(update={"more": (further(exporter, **change),)})
    message = message.format(file=exporter.variant.file, kind=kind_of(exporter))
    with pytest.raises(error, match=f"(?s){message}"):
        export_folder(
            "small", load_classifier(model_folder), model_folder, tmp_path, dev, dev.texts, strict, lambda: card_content
        )


def test_labels_of_a_further_file_may_differ_where_two_logits_are_near() -> None:
    logits = torch_logits(model_of("bert"))

    def nearly(batch: dict[str, np.ndarray]) -> np.ndarray:
        found = logits(batch).copy()
        found[0] = np.roll(found[0], 1)
        return found

    limits = {"max_length": MAX_LENGTH, "pad_id": 0, "tolerance": 1e3}
    record = measure_parity(CLASSES, logits, nearly, ROWS, **limits, same_labels=False)
    num_rows = 4 * (1 + 3 + 32) + len(ROWS)
    num_changed = round((1 - record.agreement_fraction) * num_rows)
    assert 0 < num_changed <= 13  # one row of each of twelve shapes, and of the batch of real rows
    with pytest.raises(ExportError, match="every answer equal"):
        measure_parity(CLASSES, logits, nearly, ROWS, **limits)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["int8_dynamic"], "`int8_dynamic` is always exported"),
        (["onnx_fp32"], "`onnx_fp32` is always exported"),
        ([kind_of(FURTHER[0])] * 2, "each kind at most once"),
        (["onnx_fp1"], "'onnx_fp1' found using 'kind' does not match"),
    ],
)
def test_more_takes_each_further_kind_once_and_nothing_else(
    names: list[str], message: str, params: ExportParams
) -> None:
    settings = {kind_of(FURTHER[0]): further(FURTHER[0])} | {"int8_dynamic": params.int8, "onnx_fp32": params.fp32}
    entries = [settings[name].model_dump() if name in settings else {"kind": name} for name in names]
    with pytest.raises(ValidationError, match=message):
        ExportParams.model_validate(params.model_dump() | {"more": entries})


def test_the_export_names_the_variants_that_it_makes(params: ExportParams, more: ExportParams) -> None:
    assert params.variants == (FP32.name, INT8.name)
    assert set(more.variants) == {exporter.variant.name for exporter in EXPORTERS}
