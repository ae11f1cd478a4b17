from pathlib import Path

import pytest
from invented_records import ENVIRONMENT, REPORT, make_speeds
from ruamel.yaml import YAML

from pipestill.errors import RecordError
from pipestill.exporters.parity import ParityRecord
from pipestill.exporters.quantised_share import QuantisedShare
from pipestill.exporters.records import CardContent, ExportRecord, FileRecord, Int8Gate
from pipestill.fingerprint import sha256_files
from pipestill.metrics.records import EvaluateRecord
from pipestill.reporting.mark import missed_constraints
from pipestill.reporting.package import package_champion, package_nothing
from pipestill.reporting.summary import Summary, summarise
from pipestill.reporting.tables import with_interval


@pytest.fixture(scope="module")
def evaluation(evaluations: list[EvaluateRecord]) -> EvaluateRecord:
    return next(record for record in evaluations if record.model == "bert_l3")


@pytest.fixture(scope="module")
def export(evaluation: EvaluateRecord) -> ExportRecord:
    files = {
        name: FileRecord(path=path, size_bytes=10, sha256=next(iter(evaluation.variants[name].files.values())))
        for name, path in (("onnx_fp32", "onnx/model.onnx"), ("onnx_int8", "onnx/model_quantized.onnx"))
    }
    gate = dict.fromkeys(Int8Gate.model_fields, 0.9) | {"num_rows": 8, "batch_size": 8, "num_lost": 0, "num_gained": 0}
    return ExportRecord(
        model="bert_l3",
        source_sha256="0" * 64,
        opset=17,
        inputs=("input_ids",),
        fused_operators={},
        equalised_inputs=0,
        first_token_only=True,
        fp32=files["onnx_fp32"],
        int8=files["onnx_int8"],
        int8_size_fraction=0.25,
        parity=ParityRecord.model_construct(num_rows=8, max_abs_difference=1e-6, tolerance=1e-4),
        quantised_share=QuantisedShare(
            eligible_bytes=100,
            total_bytes=100,
            float_bytes=0,
            quantised_fraction=1.0,
            total_quantised_fraction=1.0,
            float_bytes_by_operator={},
        ),
        int8_gate=Int8Gate.model_validate(gate),
        card=CardContent(
            data_name="tiny: films",
            data_origin="a test",
            data_licence="CC0 1.0",
            num_rows={"test": 1000},
            base_notice="Licence of the weights: Apache-2.0",
            max_length=16,
            cut_fraction=0.01,
            task=evaluation.task,
            labels=evaluation.labels,
            recipe={"seed": 1},
        ),
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "exported"
    (source / "onnx").mkdir(parents=True)
    for name in ("README.md", "config.json", "onnx/model.onnx", "onnx/model_quantized.onnx"):
        (source / name).write_text(f"the exported {name}")
    return source


def test_the_files_are_the_exported_ones_and_only_the_card_is_new(
    source: Path, tmp_path: Path, export: ExportRecord, evaluation: EvaluateRecord, summary: Summary
) -> None:
    package_champion(source, tmp_path / "champion", export, evaluation, summary)
    before, after = sha256_files(source), sha256_files(tmp_path / "champion")
    assert {name for name in after if after[name] != before.pop(name)} == {"README.md"}
    assert before == {}


def test_the_card_gives_each_file_s_figures_on_test_with_their_intervals(
    source: Path, tmp_path: Path, export: ExportRecord, evaluation: EvaluateRecord, summary: Summary
) -> None:
    package_champion(source, tmp_path / "champion", export, evaluation, summary)
    card = (tmp_path / "champion/README.md").read_text()
    assert summary.selection.champion == "bert_l3/onnx_int8"
    for variant, file in (("onnx_int8", "**onnx/model_quantized.onnx**"), ("onnx_fp32", "onnx/model.onnx")):
        test = evaluation.variants[variant].test
        assert test.against_teacher is not None
        row = next(line for line in card.splitlines() if line.startswith(f"| {file} | {with_interval(test.primary)}"))
        assert with_interval(test.against_teacher.retention, percent=True) in row
    for needed in ("1,000 test rows", "95% paired-bootstrap", "CC0 1.0", "Apache-2.0", '"seed": 1', "## Limits"):
        assert needed in card
    header = YAML(typ="safe", pure=True).load(card.split("---")[1])
    result = header["model-index"][0]["results"][0]
    assert result["dataset"] == {"type": "tiny: films", "name": "tiny: films", "split": "test"}
    assert result["metrics"][0]["value"] == evaluation.variants["onnx_int8"].test.primary.value


@pytest.mark.parametrize(("variant", "named"), [("onnx_fp32", True), ("onnx_int8", False)])
def test_a_champion_that_is_not_the_int8_file_comes_with_the_command_that_runs_it(
    source: Path,
    tmp_path: Path,
    export: ExportRecord,
    evaluation: EvaluateRecord,
    evaluations: list[EvaluateRecord],
    variant: str,
    named: bool,
) -> None:
    loose = {"min_speedup_over_int8_teacher": 0.5, "min_speedup_over_torch_teacher": 1.0, "min_size_ratio": 1.0}
    constraints = REPORT.constraints.model_copy(update=loose)
    params = REPORT.model_copy(update={"variants": (variant,), "constraints": constraints})
    summary = summarise(evaluations, make_speeds(), ENVIRONMENT, params)
    assert summary.selection.champion == f"bert_l3/{variant}"
    package_champion(source, tmp_path / "champion", export, evaluation, summary)
    card = (tmp_path / "champion/README.md").read_text()
    assert ("`pipestill predict FOLDER --file onnx/model.onnx`" in card) is named


@pytest.mark.parametrize("min_speedup", [1.3, 1000.0])
def test_no_time_is_in_the_folder(
    source: Path,
    tmp_path: Path,
    export: ExportRecord,
    evaluation: EvaluateRecord,
    evaluations: list[EvaluateRecord],
    min_speedup: float,
) -> None:
    """Or a second benchmark would make another artifact, of a champion and of a nearest candidate alike."""
    constraints = REPORT.constraints.model_copy(update={"min_speedup_over_int8_teacher": min_speedup})
    params = REPORT.model_copy(update={"constraints": constraints, "variants": ("onnx_int8",)})
    folders = []
    for factor in (1.0, 1.7):
        speeds = {
            name: speed.model_copy(
                update={
                    "p50_ms": speed.p50_ms * factor,
                    "speedup_over_teacher_torch": speed.speedup_over_teacher_torch + factor,
                    "speedup_over_teacher_int8": speed.speedup_over_teacher_int8 + factor,
                }
            )
            for name, speed in make_speeds().items()
        }
        folders.append(tmp_path / f"champion-{factor}")
        package_champion(source, folders[-1], export, evaluation, summarise(evaluations, speeds, ENVIRONMENT, params))
    assert sha256_files(folders[0]) == sha256_files(folders[1])


def test_a_file_that_was_not_scored_is_refused(
    source: Path, tmp_path: Path, export: ExportRecord, evaluation: EvaluateRecord, summary: Summary
) -> None:
    other = export.model_copy(update={"int8": export.int8.model_copy(update={"sha256": "f" * 64})})
    with pytest.raises(RecordError, match=r"model_quantized\.onnx of bert_l3 differs from the file that was scored"):
        package_champion(source, tmp_path / "champion", other, evaluation, summary)
    assert not (tmp_path / "champion").exists()


def test_without_a_champion_the_nearest_candidate_is_there_and_its_card_opens_with_what_it_misses(
    source: Path, tmp_path: Path, export: ExportRecord, evaluation: EvaluateRecord, evaluations: list[EvaluateRecord]
) -> None:
    constraints = REPORT.constraints.model_copy(update={"min_speedup_over_int8_teacher": 1000.0})
    params = REPORT.model_copy(update={"constraints": constraints, "variants": ("onnx_int8",)})
    summary = summarise(evaluations, make_speeds(), ENVIRONMENT, params)
    assert (summary.champion, summary.selection.packaged) == (None, "bert_l3/onnx_int8")
    package_champion(source, tmp_path / "champion", export, evaluation, summary)
    assert sha256_files(tmp_path / "champion").keys() == sha256_files(source).keys()
    card = (tmp_path / "champion/README.md").read_text()
    opening = card.split("---\n", 2)[2].strip().splitlines()[0]
    assert opening.startswith("> **Not a champion.** It misses `min_speedup_over_int8_teacher: 1000`")
    assert missed_constraints(card) == {"min_speedup_over_int8_teacher": 1000.0}
    assert "No champion: the nearest candidate" in card


def test_a_champion_s_card_has_no_mark(
    source: Path, tmp_path: Path, export: ExportRecord, evaluation: EvaluateRecord, summary: Summary
) -> None:
    package_champion(source, tmp_path / "champion", export, evaluation, summary)
    card = (tmp_path / "champion/README.md").read_text()
    assert missed_constraints(card) == {}
    assert "Not a champion" not in card
    assert card.split("---\n", 2)[2].strip().startswith("# bert_l3")


@pytest.mark.parametrize("card", ["", "# the first", "---\n- a list\n---\n", "---\n: [\n---\n"])
def test_a_card_without_a_readable_header_has_no_mark(card: str) -> None:
    assert missed_constraints(card) == {}


def test_without_a_candidate_the_folder_says_so(tmp_path: Path, evaluations: list[EvaluateRecord]) -> None:
    nobody = summarise(evaluations[:2], make_speeds(), ENVIRONMENT, REPORT)
    package_nothing(tmp_path, nobody)
    assert "No champion: there is no candidate" in (tmp_path / "README.md").read_text()
