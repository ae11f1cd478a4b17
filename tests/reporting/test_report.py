from pathlib import Path

import numpy as np
import pytest
from invented_records import ENVIRONMENT, REPORT, make_evaluations, make_speeds, make_trainings
from matplotlib.transforms import Bbox

from pipestill.fingerprint import sha256_files
from pipestill.metrics.records import EvaluateRecord
from pipestill.reporting.plots.confusion import plot_confusion
from pipestill.reporting.plots.style import new_figure, place_labels, spread, styled
from pipestill.reporting.plots.tradeoff import plot_tradeoff
from pipestill.reporting.report import Report, headline, make_report, write_report
from pipestill.reporting.summary import Summary

FILES = {"summary.json", "table.md", "table.txt"} | {
    f"{name}.{kind}" for name in ("tradeoff", "curves", "confusion", "reliability") for kind in ("png", "svg")
}


def make(evaluations: list[EvaluateRecord], predictions: Path) -> Report:
    return make_report(evaluations, make_trainings(), make_speeds(), ENVIRONMENT, REPORT, predictions)


def test_a_report_made_twice_is_the_same_bytes(
    evaluations: list[EvaluateRecord], predictions: Path, report: Report, tmp_path: Path
) -> None:
    write_report(report, tmp_path / "first")
    write_report(make(evaluations, predictions), tmp_path / "second")
    first = sha256_files(tmp_path / "first")
    assert set(first) == FILES
    assert first == sha256_files(tmp_path / "second")


def test_no_figure_names_a_date_or_a_place(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    for path in tmp_path.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert "<dc:date>" not in text
        assert str(tmp_path) not in text


def test_the_champions_numbers_are_the_headline(report: Report) -> None:
    numbers = headline(report.summary)
    assert numbers["champion.p50_ms"] == 0.87
    assert numbers["champion.speedup_over_teacher_torch"] == pytest.approx(9.8 / 0.87)


def test_without_benchmark_and_training_the_report_still_says_what_it_knows(
    evaluations: list[EvaluateRecord], predictions: Path, tmp_path: Path
) -> None:
    report = make_report(evaluations, [], {}, ENVIRONMENT, REPORT, predictions)
    assert set(report.figures.drawn) == {"confusion", "reliability"}
    assert report.figures.failed == {}
    numbers = headline(report.summary)
    assert numbers["num_candidates"] == numbers["num_refused"] == len(report.summary.selection.verdicts) > 0
    assert not [name for name in numbers if name.startswith("champion.")]
    assert "nearest.p50_ms" not in numbers
    write_report(report, tmp_path)
    for name in ("table.txt", "table.md"):
        first = (tmp_path / name).read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(
            "No champion: the nearest candidate, `bert_l3/onnx_fp32`, misses `min_speedup_over_int8"
        )


def test_the_nearest_candidate_s_numbers_have_names_of_their_own(
    evaluations: list[EvaluateRecord], predictions: Path
) -> None:
    constraints = REPORT.constraints.model_copy(update={"min_speedup_over_int8_teacher": 2.42})
    params = REPORT.model_copy(update={"constraints": constraints, "variants": ("onnx_int8",)})
    numbers = headline(make_report(evaluations, [], make_speeds(), ENVIRONMENT, params, predictions).summary)
    assert numbers["nearest.p50_ms"] == 0.87
    assert numbers["nearest.shortfall"] == pytest.approx(1 - 2.1 / 0.87 / 2.42)
    assert not [name for name in numbers if name.startswith("champion.")]


def test_teacher_and_baseline_alone_make_a_report(
    evaluations: list[EvaluateRecord], predictions: Path, tmp_path: Path
) -> None:
    report = make_report(evaluations[:2], make_trainings()[:1], make_speeds(), ENVIRONMENT, REPORT, predictions)
    assert set(report.figures.drawn) == {"tradeoff", "curves"}
    assert report.summary.selection.verdicts == ()
    assert headline(report.summary) == {"num_candidates": 0, "num_refused": 0}
    write_report(report, tmp_path)
    assert set(sha256_files(tmp_path)) == FILES, "DVC asks for each of them"
    assert "nothing to show" in (tmp_path / "confusion.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("num_labels", [8, 40, 77])
def test_numbers_and_names_are_left_out_of_a_confusion_matrix_that_has_no_room(num_labels: int) -> None:
    labels = [f"a long name of label {number}" for number in range(num_labels)]
    figure = plot_confusion(np.eye(num_labels, dtype=int).tolist(), labels, "a title")
    axes = figure.axes[0]
    assert len(axes.texts) == (num_labels**2 if num_labels == 8 else 0)
    assert ("a long name of label 0" in [tick.get_text() for tick in axes.get_yticklabels()]) == (num_labels < 60)


def test_a_pipeline_of_many_labels_has_a_report(tmp_path: Path) -> None:
    report = make(make_evaluations(tmp_path, 77, num_rows=100), tmp_path)
    assert report.summary.num_labels == 77
    assert report.figures.failed == {}


def test_labels_that_would_touch_are_moved_apart_and_others_stay() -> None:
    assert spread([1.0, 5.0], 1.0) == [1.0, 5.0]
    assert spread([2.0, 2.0], 1.0) == [1.5, 2.5]
    assert spread([1.0, 1.5, 1.2], 1.0) == pytest.approx([0.2333, 2.2333, 1.2333], abs=1e-3)
    assert spread([], 1.0) == []


def test_a_label_keeps_clear_of_what_is_there() -> None:
    with styled():
        axes = new_figure(4, 4).subplots()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.figure.draw_without_rendering()
        x, y = axes.transData.transform((0.5, 0.5))
        above = Bbox.from_extents(x - 100, y + 5, x + 100, y + 40)
        place_labels(axes, [(0.5, 0.5, "name", "black")], [above])
        box = axes.texts[0].get_window_extent()
    assert box.y1 <= above.y0 or box.y0 >= above.y1


def test_a_further_variant_has_its_point_and_its_entry_in_the_trade_off(summary: Summary) -> None:
    plain = plot_tradeoff(summary)
    fp16 = [row.model_copy(update={"variant": "onnx_fp16"}) for row in summary.rows if row.variant == "onnx_fp32"]
    figure = plot_tradeoff(summary.model_copy(update={"rows": (*summary.rows, *fp16)}))
    assert plain is not None
    assert figure is not None
    entries = [[text.get_text() for text in one.legends[0].get_texts()] for one in (plain, figure)]
    assert entries == [["PyTorch", "ONNX fp32", "ONNX int8"], ["PyTorch", "ONNX fp32", "ONNX int8", "ONNX fp16"]]
    added = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert len(added) == len(fp16)
    assert {line.get_markerfacecolor() for line in added} == {"white"}
