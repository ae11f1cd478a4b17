import pytest
from invented_records import ENVIRONMENT, REPORT, make_speeds
from rich.console import Console

from pipestill.metrics.records import EvaluateRecord
from pipestill.metrics.uncertainty import Estimate
from pipestill.reporting.summary import Summary, summarise
from pipestill.reporting.tables import (
    markdown_table,
    megabytes,
    notes,
    rich_table,
    text_table,
    times,
    with_interval,
)
from pipestill.reporting.walltimes import duration


def cells(summary: Summary) -> list[dict[str, str]]:
    """The cells of the Markdown table by heading, row by row."""
    heading, _, *rows = (
        [cell.strip(" *") for cell in line.split("|")[1:-1]] for line in markdown_table(summary).splitlines()
    )
    return [dict(zip(heading, row, strict=True)) for row in rows]


def test_the_table_shows_every_form_that_is_used(summary: Summary) -> None:
    shown = [(row["model"], row["form"]) for row in cells(summary)]
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
    row = cells(summary)[5]
    assert row["vs PyTorch"] == "11.3x"
    assert row["vs int8"] == "2.4x"
    assert row["size"] == "17.7 MB"
    assert row["p50 ms"] == "0.87"
    assert row["model ms"] == "0.70"
    assert row["accuracy"].startswith("0.846 [")
    assert cells(summary)[1]["retention"] == "-"


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
    assert "Champion: `bert_l3/onnx_int8`" in text
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
