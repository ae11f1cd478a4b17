"""The table from invented cells: what is compared with what, what chooses, and what the text says."""

from pathlib import Path

import numpy as np
import pytest

from pipestill.ablation.grid import timed_cells
from pipestill.ablation.params import Cell, Recipe
from pipestill.ablation.records import AblationRecord, CellRecord, CellTimes, SeedRecord
from pipestill.ablation.report import write_report
from pipestill.ablation.table import MeasuredCell, build_table, headline, read_logits
from pipestill.benchmark.records import BenchmarkRecord, SubjectRecord
from pipestill.benchmark.statistics import LatencyMs, Ratio
from pipestill.data.tables import Rows
from pipestill.environment import Environment, read_environment
from pipestill.evaluation.params import BootstrapParams
from pipestill.evaluation.predictions import Predictions, write_predictions
from pipestill.exporters.records import FileRecord
from pipestill.params import parse_section, read_params
from pipestill.records import read_record

ROOT = Path(__file__).parents[2]
GRID = read_params(ROOT / "pipelines/ablation/params.yaml")
STUDENTS = {name: GRID["students"][name]["title"] for name in ("bert_l3", "static")}
RECIPES = {name: parse_section(GRID, f"recipes.{name}", Recipe) for name in GRID["recipes"]}
CELLS = {
    name: Cell(student=name.split("-")[0], recipe=name.split("-")[1])
    for name in ("static-soft", "static-alone", "bert_l3-features")
}
TEST = Rows([f"{row:032x}" for row in range(8)], ["a text"] * 8, np.array([0, 1] * 4))
ENVIRONMENT = read_environment()
OTHER = ENVIRONMENT.model_copy(update={"cpu_model": "another machine"})


def logits(num_right: int) -> np.ndarray:
    """Of 8 rows the first are right."""
    right = np.arange(8) < num_right
    return np.eye(2, dtype=np.float32)[np.where(right, TEST.label_ids, 1 - TEST.label_ids)]


def cell(name: str, dev: tuple[float, ...], num_right: tuple[int, ...], environment: Environment) -> MeasuredCell:
    seeds = tuple(
        SeedRecord(
            seed=seed,
            num_rows=9,
            num_epochs=2,
            best_epoch=1,
            dev={"accuracy": on_dev, "macro_f1": on_dev},
            test={"accuracy": right / 8, "macro_f1": right / 8},
        )
        for seed, on_dev, right in zip((3, 4), dev, num_right, strict=True)
    )
    record = CellRecord(
        task="classes",
        student=CELLS[name].student,
        recipe=CELLS[name].recipe,
        seeds=seeds,
        num_parameters=100,
        diagnostics=(),
        exported_seed=3,
        fp32=FileRecord(path="onnx/model.onnx", size_bytes=4_000_000, sha256="f"),
        int8=FileRecord(path="onnx/model_quantized.onnx", size_bytes=1_200_000, sha256="e"),
        parity_max_abs_difference=0.0,
        quantised_fraction=1.0,
        int8_dev_quality=0.5,
        int8_test_quality=0.625,
    )
    times = CellTimes(train_wall_time_s=(10.0, 12.0), environment=environment)
    return MeasuredCell(record, times, [logits(right) for right in num_right])


def subject(model: str, variant: str, p50: float) -> SubjectRecord:
    latency, one = LatencyMs(p50=p50, p95=p50, p99=p50), Ratio(median=1, lowest=1, highest=1)
    return SubjectRecord.model_validate(
        {"model": model, "variant": variant, "sha256": "d", "size_bytes": 5_000_000, "p50_ms_by_round": (p50,)}
        | dict.fromkeys(("latency_ms", "tokenise_ms", "model_ms"), latency)
        | dict.fromkeys(("throughput_per_s", "load_ms", "first_run_ms", "peak_memory_bytes"), 1)
        | dict.fromkeys(("speed_up_over_torch_teacher", "speed_up_over_int8_teacher"), one)
    )


@pytest.fixture
def table(tmp_path: Path) -> AblationRecord:
    teacher, baseline, test = (tmp_path / f"{name}.parquet" for name in ("teacher", "baseline", "test"))
    for path, variant, right in ((teacher, "torch", 6), (baseline, "linear", 5)):
        write_predictions(
            path, {"test": Predictions(tuple(TEST.content_ids), TEST.label_ids, {variant: logits(right)})}
        )
    test.write_text("rows")
    timings = (("teacher", "torch", 9.0), ("teacher", "onnx_int8", 2.0), ("static-alone", "onnx_int8", 0.03))
    benchmark = BenchmarkRecord(
        threads=1,
        batch_size=1,
        throughput_batch_size=2,
        warmup_runs=1,
        timed_runs=8,
        rounds=2,
        num_rows=4,
        load_average_before=0.0,
        environment=ENVIRONMENT,
        subjects=tuple(subject(*timing) for timing in (*timings, ("bert_l3-features", "onnx_int8", 0.8))),
    )
    measured = {
        "static-soft": cell("static-soft", (0.7, 0.8), (5, 6), ENVIRONMENT),
        "static-alone": cell("static-alone", (0.8, 0.8), (4, 4), ENVIRONMENT),
        "bert_l3-features": cell("bert_l3-features", (0.9, 0.9), (6, 6), OTHER),
    }
    rows = {"dev": (test, TEST), "test": (test, TEST)}
    bootstrap = BootstrapParams(replicates=200, seed=1, confidence=0.95)
    return build_table(measured, STUDENTS, RECIPES, CELLS, teacher, baseline, rows, benchmark, bootstrap)


def test_rows_lie_in_the_order_of_students_and_recipes_and_are_held_against_the_one_before(
    table: AblationRecord,
) -> None:
    assert [(row.student, row.recipe, row.before) for row in table.rows] == [
        ("bert_l3", "features", None),
        ("static", "alone", None),
        ("static", "soft", "alone"),
    ]
    features, alone, soft = table.rows
    assert soft.difference_to_before is not None
    assert soft.difference_to_before.value == pytest.approx((5 + 6) / 16 - 4 / 8)
    assert alone.difference_to_before is None
    assert features.difference_to_teacher.value == 0
    assert soft.retention is not None
    assert soft.retention.value == pytest.approx((5 + 6) / 16 / (6 / 8))
    assert soft.test_quality.mean == pytest.approx(11 / 16)
    assert soft.train_wall_time_s.mean == 11
    assert (features.agreement, soft.agreement) == (1.0, pytest.approx((7 + 8) / 16)), "the first 5, 6 of 8; all of 6"


def test_a_system_below_the_linear_baseline_is_named(table: AblationRecord, tmp_path: Path) -> None:
    assert table.baseline_test_quality == 5 / 8
    write_report(table, tmp_path)
    title = STUDENTS["static"]
    assert f"logistic regression: 0.625, better than: {title}." in (tmp_path / "ablation.md").read_text()


def test_dev_chooses_a_system_s_recipe_and_test_has_no_say(table: AblationRecord) -> None:
    assert table.systems == ("bert_l3-features", "static-alone"), "soft is better on test, alone on dev"


def test_a_student_s_latency_is_that_of_its_first_cell(table: AblationRecord) -> None:
    assert timed_cells(CELLS, list(STUDENTS), list(RECIPES)) == {
        "bert_l3": "bert_l3-features",
        "static": "static-alone",
    }
    assert [(row.latency_of, row.model_p50_ms) for row in table.rows[1:]] == [("static-alone", 0.03)] * 2


def test_the_report_says_the_numbers_with_what_they_rest_on_and_reads_back(
    table: AblationRecord, tmp_path: Path
) -> None:
    write_report(table, tmp_path)
    assert read_record(tmp_path / "ablation.json", AblationRecord) == table
    text = (tmp_path / "ablation.md").read_text()
    for words in (
        "0.688 ± 0.088",
        "+18.8 [",
        "another machine",
        "over the seeds 3, 4",
        "0.03 ms",
        "9.00 ms",
        "test chose",
    ):
        assert words in text, words
    assert {path.name for path in tmp_path.glob("accuracy.*")} == {"accuracy.png", "accuracy.svg"}
    assert headline(table)["static-soft/test_accuracy"] == pytest.approx(11 / 16)


def test_the_seeds_of_a_cell_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "cell.parquet"
    held = Predictions(tuple(TEST.content_ids), TEST.label_ids, {"seed_3": logits(8), "seed_4": logits(4)})
    write_predictions(path, {"test": held})
    four, eight = read_logits(path, TEST, ["seed_4", "seed_3"])
    np.testing.assert_array_equal(four, logits(4))
    np.testing.assert_array_equal(eight, logits(8))
