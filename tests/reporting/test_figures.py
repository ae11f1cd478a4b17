"""Figures of any label: drawn literally, in a font that has its characters, and never at the report's cost."""

import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from invented_records import ENVIRONMENT, REPORT, make_evaluations, make_speeds, make_trainings
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.image import imread

from pipestill.ablation import report as ablation_report
from pipestill.fingerprint import sha256_files
from pipestill.metrics.records import EvaluateRecord
from pipestill.reporting import report as report_module
from pipestill.reporting.figures import draw, write_figures
from pipestill.reporting.plots import glyphs
from pipestill.reporting.plots.confusion import drawn_names, plot_confusion, substitutes
from pipestill.reporting.plots.reliability import plot_reliability
from pipestill.reporting.plots.style import new_figure, render, styled
from pipestill.reporting.report import FIGURES, Report, make_report, write_report
from pipestill.training.records import EpochPoint

ODD_LABELS = ("$0-$50", "$50-$100", r"$\frac$", r"i\j", "a_b^c", "{p}", "%s", "_q", "-", "l" * 300, "m\nn", "#1")
HAN = "体育"
Restrict = Callable[[tuple[str, ...]], None]


@pytest.fixture
def other_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Restrict]:
    """Decide which families this machine has beside DejaVu Sans."""

    def restrict(families: tuple[str, ...]) -> None:
        forget()
        monkeypatch.setattr(glyphs, "_others", lambda: families)

    yield restrict
    forget()


def forget() -> None:
    for function in (glyphs.family_of, glyphs._has, glyphs._path_of):
        function.cache_clear()


@pytest.fixture
def font_of_two_characters(tmp_path: Path) -> Iterator[str]:
    """A font of this machine that has two Chinese characters and, as an empty glyph, an emoji."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    pen.lineTo((100, 700))
    pen.lineTo((900, 700))
    pen.closePath()
    names = [".notdef", "first", "second", "empty"]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(HAN[0]): "first", ord(HAN[1]): "second", ord("🧀"): "empty"})
    triangle, empty = pen.glyph(), TTGlyphPen(None).glyph()
    builder.setupGlyf({".notdef": empty, "first": triangle, "second": triangle, "empty": empty})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Two Characters", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "two.ttf")
    before = list(fontManager.ttflist)
    fontManager.addfont(tmp_path / "two.ttf")
    yield "Two Characters"
    fontManager.ttflist = before


def confusion_of(labels: tuple[str, ...]) -> Figure:
    return plot_confusion(np.eye(len(labels), dtype=int).tolist(), labels, f"$x$ of {labels[0]}")


def test_labels_full_of_signs_are_drawn_literally() -> None:
    figure = confusion_of(ODD_LABELS)
    render(figure)
    axes = figure.axes[0]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        names = [tick.get_text() for tick in ticks]
        assert names[:9] == list(ODD_LABELS[:9])
        assert names[9] == "l" * 23 + "…"
        assert names[10] == r"m\x0an"
        assert not any(tick.get_parse_math() for tick in ticks)
    assert axes.get_title(loc="left") == "$x$ of $0-$50"


def test_no_text_of_any_figure_is_read_as_a_formula(report: Report) -> None:
    with styled():
        figure = new_figure(3, 3)
        axes = figure.subplots()
        axes.plot([0, 1], label="$a$")
        texts = [axes.set_title("$t$"), axes.set_xlabel("$x$"), axes.annotate("$n$", (0, 0))]
        texts += [*axes.legend().get_texts(), *axes.get_xticklabels()]
    assert not any(text.get_parse_math() for text in texts)


def test_a_name_that_begins_with_an_underscore_stands_in_the_legend(evaluations: list[EvaluateRecord]) -> None:
    quality = evaluations[1].variants["torch"].test
    figure = plot_reliability([("_private, ONNX int8", "#1f77b4", quality)], 2)
    (entry,) = figure.axes[0].get_legend().get_texts()
    assert entry.get_text().startswith("_private, ONNX int8   ECE 0.")


def test_characters_that_dejavu_lacks_come_from_another_font(
    other_fonts: Restrict, font_of_two_characters: str
) -> None:
    other_fonts((font_of_two_characters,))
    assert glyphs.families(["abc", HAN]) == ["DejaVu Sans", font_of_two_characters]
    assert glyphs.families(["Größe, мир"]) == ["DejaVu Sans"]
    assert drawn_names(["news", HAN]) == ["news", HAN]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of a character that it draws as a box
        render(confusion_of(("news", HAN)))


def test_an_empty_glyph_is_no_drawing_of_a_character(other_fonts: Restrict, font_of_two_characters: str) -> None:
    other_fonts((font_of_two_characters,))
    assert not glyphs.is_drawable("🧀")


def test_a_label_that_no_font_has_is_drawn_by_number_and_the_key_is_in_the_report(
    other_fonts: Restrict, evaluations: list[EvaluateRecord], predictions: Path, tmp_path: Path
) -> None:
    other_fonts(())
    labels = ("|$0-$50|", HAN)
    assert drawn_names(labels) == [labels[0], "#1"]
    assert substitutes(labels) == {"#1": HAN}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render(confusion_of(labels))
    named = [record.model_copy(update={"labels": labels}) for record in evaluations]
    report = make_report(named, make_trainings(), make_speeds(), ENVIRONMENT, REPORT, predictions)
    (remark,) = report.summary.remarks
    assert remark.startswith(f'In the figure "confusion", #1 is {HAN}: no font of this machine has all the characters.')
    write_report(report, tmp_path)
    for name in ("table.txt", "table.md", "summary.json"):
        assert f"#1 is {HAN}" in (tmp_path / name).read_text(encoding="utf-8")


def test_a_text_that_is_no_label_is_escaped_where_no_font_has_it(other_fonts: Restrict) -> None:
    other_fonts(())
    assert glyphs.drawable(f"Sport {HAN} \u200b") == r"Sport \u4f53\u80b2 \u200b"


def test_labels_that_are_not_drawn_need_no_key(other_fonts: Restrict) -> None:
    other_fonts(())
    assert substitutes([f"{HAN} {number}" for number in range(61)]) == {}


def test_fonts_of_boxes_and_parts_of_formulas_are_never_chosen() -> None:
    assert not [name for name in glyphs._others() if "resort" in name.lower() or name in {"cmsy10", "STIXSizeOneSym"}]
    assert "DejaVu Serif" in glyphs._others()


def broken(*_: object, **__: object) -> Figure:
    raise ValueError("a line\nand\x00 <another>")


def test_a_figure_that_fails_costs_nothing_but_itself(
    evaluations: list[EvaluateRecord], predictions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(report_module, "plot_confusion", broken)
    report = make_report(evaluations, make_trainings(), make_speeds(), ENVIRONMENT, REPORT, predictions)
    assert set(report.figures.drawn) == set(FIGURES) - {"confusion"}
    assert report.summary.remarks == ('The figure "confusion" is left out: ValueError: a line and\x00 <another>',)
    write_report(report, tmp_path)
    assert 'The figure "confusion" is left out: ValueError' in (tmp_path / "table.txt").read_text(encoding="utf-8")
    assert "ValueError: a line and\x00 &lt;another>" in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert report.summary.champion is not None


def test_without_a_single_figure_there_is_a_report_with_every_file(
    evaluations: list[EvaluateRecord], predictions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Figure, "savefig", broken)
    report = make_report(evaluations, make_trainings(), make_speeds(), ENVIRONMENT, REPORT, predictions)
    assert report.figures.drawn == {}
    assert len(report.summary.remarks) == len(FIGURES)
    write_report(report, tmp_path)
    assert {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")} < set(sha256_files(tmp_path))
    assert imread(tmp_path / "curves.png").min() == 1, "white"
    words = "".join(ET.fromstring((tmp_path / "curves.svg").read_bytes()).itertext())
    assert words.strip() == "curves: ValueError: a line and  <another>"


def test_an_interrupted_figure_interrupts_the_report() -> None:
    def interrupted() -> Figure:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw({"curves": interrupted})


def test_the_ablation_s_figure_costs_no_report_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures = draw({ablation_report.FIGURE: broken})
    assert figures.remarks == ('The figure "accuracy" is left out: ValueError: a line and\x00 <another>',)
    write_figures(figures, [ablation_report.FIGURE], tmp_path)
    assert set(sha256_files(tmp_path)) == {"accuracy.png", "accuracy.svg"}


def test_a_pipeline_with_odd_labels_has_every_figure(tmp_path: Path) -> None:
    evaluations = make_evaluations(tmp_path, len(ODD_LABELS), num_rows=100)
    named = [record.model_copy(update={"labels": ODD_LABELS}) for record in evaluations]
    report = make_report(named, make_trainings(), make_speeds(), ENVIRONMENT, REPORT, tmp_path)
    assert report.figures.failed == {}
    assert set(report.figures.drawn) == set(FIGURES)


def test_the_frozen_base_is_one_more_baseline_in_the_report(
    evaluations: list[EvaluateRecord], predictions: Path
) -> None:
    teacher, *students = make_trainings()
    frozen = EpochPoint(epoch=0, step=0, train_loss=0.6, dev={"accuracy": 0.7, "macro_f1": 0.65, "nll_nats": 0.6})
    probed = teacher.model_copy(update={"epochs": (frozen, *teacher.epochs)})
    assert (probed.frozen_base, probed.best) == (frozen, teacher.best)
    report = make_report(evaluations, [probed, *students], make_speeds(), ENVIRONMENT, REPORT, predictions)
    (remark,) = report.summary.remarks
    assert remark.startswith(
        "A linear head on the frozen base has accuracy 0.700 and macro F1 0.650 on dev, the teacher "
    )
    assert f"{teacher.best.dev['accuracy']:.3f}" in remark
    assert {"curves"} <= {*report.figures.drawn}
