from itertools import pairwise

import pytest
from invented_records import ENVIRONMENT, REPORT, make_speeds
from markdown_it import MarkdownIt
from rich.console import Console

from pipestill.metrics.records import EvaluateRecord
from pipestill.metrics.uncertainty import Estimate
from pipestill.reporting.notes import choice, choice_lines, notes
from pipestill.reporting.summary import Summary, summarise
from pipestill.reporting.tables import (
    SHORT_WIDTH,
    markdown_table,
    megabytes,
    rich_table,
    short_markdown_table,
    short_rich_table,
    short_rows,
    text_table,
    times,
    with_interval,
)
from pipestill.reporting.walltimes import duration


def cells(table: str) -> list[dict[str, str]]:
    """The cells of a Markdown table by heading, row by row."""
    heading, _, *rows = ([cell.strip(" *") for cell in line.split("|")[1:-1]] for line in table.splitlines())
    return [dict(zip(heading, row, strict=True)) for row in rows]


def refusing(evaluations: list[EvaluateRecord], **limits: float) -> Summary:
    """A summary under other constraints, with int8 files as candidates."""
    constraints = REPORT.constraints.model_copy(update=limits)
    params = REPORT.model_copy(update={"constraints": constraints, "variants": ("onnx_int8",)})
    return summarise(evaluations, make_speeds(), ENVIRONMENT, params)


def test_the_table_shows_every_form_that_is_used(summary: Summary) -> None:
    shown = [(row["model"], row["variant"]) for row in cells(markdown_table(summary))]
    assert shown == [
        ("baseline", "TF-IDF"),
        ("teacher", "PyTorch"),
        ("teacher", "ONNX fp32"),
        ("teacher", "ONNX int8"),
        ("bert_l3", "ONNX fp32"),
        ("bert_l3", "ONNX int8"),
        ("bert_l2", "ONNX fp32"),
        ("bert_l2", "ONNX int8"),
        ("bert_l3_hard", "ONNX fp32"),
        ("bert_l3_hard", "ONNX int8"),
    ]


def test_a_cell_says_what_was_measured(summary: Summary) -> None:
    row = cells(markdown_table(summary))[5]
    assert row["vs PyTorch"] == "11.3x"
    assert row["vs int8"] == "2.4x"
    assert row["size"] == "17.7 MB"
    assert row["p50 ms"] == "0.87"
    assert row["model ms"] == "0.70"
    assert row["accuracy"].startswith("0.846 [")
    assert cells(markdown_table(summary))[1]["retention"] == "-"


def test_the_short_table_has_six_columns_and_the_rows_that_a_reader_needs(summary: Summary) -> None:
    rows = cells(short_markdown_table(summary))
    assert [row["model"] for row in rows] == [
        "linear baseline", "PyTorch teacher", "int8 teacher", "bert_l3", "bert_l2", "bert_l3_hard",
    ]  # fmt: skip
    assert list(rows[0]) == ["model", "accuracy", "retention", "size", "p50 ms", "vs PyTorch"]
    assert rows[3]["accuracy"].startswith("0.846 [")
    assert (rows[3]["size"], rows[3]["p50 ms"], rows[3]["vs PyTorch"]) == ("17.7 MB", "0.87", "11.3x")
    assert rows[0]["p50 ms"] == "-"
    assert rows[1]["retention"] == "-"
    assert "| **bert_l3** |" in short_markdown_table(summary)


def test_a_champion_that_is_no_int8_file_stands_in_the_short_table_too(evaluations: list[EvaluateRecord]) -> None:
    loose = dict.fromkeys(type(REPORT.constraints).model_fields, 0.0)
    params = REPORT.model_copy(
        update={"constraints": REPORT.constraints.model_copy(update=loose), "variants": ("onnx_fp32",)}
    )
    rows = cells(short_markdown_table(summarise(evaluations, make_speeds(), ENVIRONMENT, params)))
    assert [row["model"] for row in rows][3:5] == ["bert_l3 ONNX fp32", "bert_l3"]


def renamed(summary: Summary, model: str) -> Summary:
    """A summary in which one student has another name."""
    rows = tuple(row.model_copy(update={"model": model}) if row.model == "bert_l2" else row for row in summary.rows)
    return summary.model_copy(update={"rows": rows})


@pytest.mark.parametrize("model", ["[bold]x[/bold]", "[/]", "[link=x]y", ":smile:"])
def test_a_name_is_no_markup_on_the_terminal(summary: Summary, model: str) -> None:
    text = text_table(renamed(summary, model))
    assert text.count(f"  {model}  ") + text.count(f" {model} ") >= 1


@pytest.mark.parametrize("model", ["*x*", "__x__", "a|b", "`x`", "<i>x</i>", "[x](y)"])
def test_a_name_is_no_markup_in_markdown(summary: Summary, model: str) -> None:
    for table in (markdown_table, short_markdown_table):
        tokens = MarkdownIt("commonmark").enable("table").parse(table(renamed(summary, model)))
        cells = [cell for token, cell in pairwise(tokens) if token.type == "td_open"]
        shown = ["".join(part.content for part in cell.children or ()) for cell in cells]
        assert any(text.startswith(model) for text in shown)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("num_models", [2, 5])
def test_the_short_table_fits_a_terminal_of_eighty_columns(
    evaluations: list[EvaluateRecord], timed: bool, num_models: int
) -> None:
    summary = summarise(evaluations[:num_models], make_speeds() if timed else {}, ENVIRONMENT, REPORT)
    console = Console(width=SHORT_WIDTH, force_terminal=False)
    with console.capture() as capture:
        console.print(short_rich_table(summary))
    lines = capture.get().splitlines()
    assert "…" not in capture.get()
    assert max(map(len, lines)) <= SHORT_WIDTH
    assert len([line for line in lines if "[" in line]) == len(short_rows(summary)) > num_models


def test_a_long_name_makes_no_row_wider(summary: Summary) -> None:
    name = "a_student_with_a_name_that_is_far_too_long_for_any_table"
    rows = tuple(row.model_copy(update={"model": name}) if row.model == "bert_l2" else row for row in summary.rows)
    console = Console(width=SHORT_WIDTH, force_terminal=False)
    with console.capture() as capture:
        console.print(short_rich_table(summary.model_copy(update={"rows": rows})))
    assert max(map(len, capture.get().splitlines())) <= SHORT_WIDTH
    assert "…" not in capture.get()


def test_the_nearest_candidate_is_in_italics_and_the_first_line_names_what_it_misses(
    evaluations: list[EvaluateRecord],
) -> None:
    summary = refusing(evaluations, min_speedup_over_int8_teacher=2.42)
    assert "| *bert_l3* | *ONNX int8* |" in markdown_table(summary)
    assert "| *bert_l3* |" in short_markdown_table(summary)
    assert choice(summary) == (
        "No champion: the nearest candidate, `bert_l3/onnx_int8`, misses `min_speedup_over_int8_teacher`."
    )
    assert text_table(summary).startswith(choice(summary))
    lines = choice_lines(summary)
    assert "2.42x faster than the int8 teacher" in lines[0]
    assert any(
        "`bert_l3/onnx_int8`, the nearest, is refused: speed-up over the int8 teacher is 2.41, below 2.42" in line
        for line in lines
    )


def test_a_limit_of_zero_is_not_mentioned(evaluations: list[EvaluateRecord]) -> None:
    said = notes(refusing(evaluations, min_speedup_over_torch_teacher=0))
    assert "faster than the PyTorch teacher," not in said
    assert "1.3x faster than the int8 teacher, 5x smaller than the PyTorch teacher" in said


def test_markdown_has_as_many_cells_in_each_row_and_the_champion_in_bold(summary: Summary) -> None:
    lines = markdown_table(summary).splitlines()
    assert {line.count("|") for line in lines} == {15}
    assert [line for line in lines if "**bert_l3**" in line and "**ONNX int8**" in line] == [lines[7]]


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_narrow_terminal_gets_fewer_columns_and_no_cut_cell(summary: Summary, width: int) -> None:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(rich_table(summary, width))
    assert "…" not in capture.get()
    assert "retention" in capture.get()
    assert max(map(len, capture.get().splitlines())) <= width


def test_the_text_says_what_the_numbers_rest_on(summary: Summary) -> None:
    text = text_table(summary)
    assert "1,000 test rows, 2 labels" in text
    assert "95% paired-bootstrap" in text
    assert "1 row on 1 thread" in text
    assert "A Processor, 2 cores, avx512_vnni" in text
    assert text.startswith("Champion: `bert_l3/onnx_int8`.")
    assert "`bert_l3/onnx_fp32` is refused" in text


def test_without_speeds_the_notes_name_no_machine_and_no_champion(evaluations: list[EvaluateRecord]) -> None:
    text = notes(summarise(evaluations, {}, ENVIRONMENT, REPORT))
    assert "Processor" not in text
    assert "No champion" in text


def test_a_second_fit_candidate_is_named_with_its_quality(evaluations: list[EvaluateRecord]) -> None:
    loose = REPORT.model_copy(
        update={"constraints": REPORT.constraints.model_copy(update={"min_retention_lower": 0.5})}
    )
    text = notes(summarise(evaluations, make_speeds(), ENVIRONMENT, loose))
    assert "`bert_l2/onnx_int8` meets the constraints too" in text


def test_numbers_are_written_for_people() -> None:
    assert with_interval(None) == "-"
    assert with_interval(Estimate(value=0.8461, lower=0.82, upper=0.87)) == "0.846 [0.820, 0.870]"
    assert with_interval(Estimate(value=1.001, lower=0.99, upper=1.013), percent=True) == "100.1% [99.0, 101.3]"
    assert megabytes(17_700_000) == "17.7 MB"
    assert megabytes(None) == times(None) == "-"
    assert duration(5.23) == "5.2 s"
    assert duration(64.9) == "1 min 05 s"
    assert duration(119.7) == "2 min 00 s"
