"""The comparison table: on the terminal, in Markdown, and as plain rows."""

from collections.abc import Callable
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipestill.metrics.uncertainty import Estimate
from pipestill.reporting.rows import BASELINE, TEACHER, VARIANT_TITLES, ComparisonRow
from pipestill.reporting.summary import Summary

NOTHING = "-"
TEXT_WIDTH = 160
"""Columns of the plain-text table: wide enough that no cell is cut."""
DROPPED_WHEN_NARROW = ("macro F1", "ECE", "p99 ms", "p95 ms", "model ms", "agreement", "vs int8", "size", "p50 ms")
"""Columns that a narrow terminal does without, the first to go first."""


class Column(NamedTuple):
    """A column of the table: its heading, what it shows of a row, and on which side it is aligned."""

    heading: str
    show: Callable[[ComparisonRow], str]
    numeric: bool = True


COLUMNS = (
    Column("model", lambda row: row.model, numeric=False),
    Column("form", lambda row: VARIANT_TITLES.get(row.variant, row.variant), numeric=False),
    Column("accuracy", lambda row: with_interval(row.test.accuracy)),
    Column("macro F1", lambda row: f"{row.test.macro_f1.value:.3f}"),
    Column("agreement", lambda row: f"{row.test.agreement.value:.1%}" if row.test.agreement else NOTHING),
    Column("retention", lambda row: with_interval(row.test.retention, percent=True)),
    Column("ECE", lambda row: f"{row.test.ece:.3f}"),
    Column("size", lambda row: megabytes(row.size_bytes)),
    Column("p50 ms", lambda row: milliseconds(row.speed.p50_ms) if row.speed else NOTHING),
    Column("p95 ms", lambda row: milliseconds(row.speed.p95_ms) if row.speed else NOTHING),
    Column("p99 ms", lambda row: milliseconds(row.speed.p99_ms) if row.speed else NOTHING),
    Column("model ms", lambda row: milliseconds(row.speed.model_p50_ms) if row.speed else NOTHING),
    Column("vs PyTorch", lambda row: times(row.speed.speedup_over_teacher_torch if row.speed else None)),
    Column("vs int8", lambda row: times(row.speed.speedup_over_teacher_int8 if row.speed else None)),
)


def table_rows(summary: Summary) -> tuple[ComparisonRow, ...]:
    """The rows that the table shows: students only as ONNX files, since that is how they are used."""
    return tuple(row for row in summary.rows if row.model in (BASELINE, TEACHER) or row.variant != "torch")


def markdown_table(summary: Summary) -> str:
    """The table in Markdown, the champion in bold; ends in a newline."""
    lines = [
        "| " + " | ".join(column.heading for column in COLUMNS) + " |",
        "|" + "|".join("---:" if column.numeric else "---" for column in COLUMNS) + "|",
    ]
    for row in table_rows(summary):
        cells = [column.show(row).replace("|", "\\|") for column in COLUMNS]
        if row.subject == summary.selection.champion:
            cells = [f"**{cell}**" if column.heading in ("model", "form") else cell for column, cell in _pair(cells)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def rich_table(summary: Summary, width: int = TEXT_WIDTH) -> Table:
    """The table for a terminal of some width, the champion in bold green, a rule between models."""
    hidden = 0
    table = _rich_table(summary, ())
    while hidden < len(DROPPED_WHEN_NARROW) and Console(width=10 * TEXT_WIDTH).measure(table).maximum > width:
        hidden += 1
        table = _rich_table(summary, DROPPED_WHEN_NARROW[:hidden])
    return table


def text_table(summary: Summary) -> str:
    """The table and its notes as plain text, the same bytes on every terminal."""
    console = Console(width=TEXT_WIDTH, no_color=True, highlight=False, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(rich_table(summary))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n\n" + notes(summary)


def notes(summary: Summary) -> str:
    """What the numbers rest on, and the choice of the champion with its reasons; ends in a newline."""
    speed = next((row.speed for row in summary.rows if row.speed), None)
    rows = (
        f"{summary.num_test_rows:,} test rows, {summary.num_labels} labels. Brackets: {summary.confidence:.0%} "
        f"paired-bootstrap intervals ({summary.replicates:,} replicates). "
        "Agreement and retention: against the PyTorch teacher."
    )
    lines = [rows]
    if speed is not None:
        timing = (
            f"Latency of one call with {_count(speed.batch_size, 'row')} on {_count(speed.threads, 'thread')}, "
            f"from text to logits, on {hardware(summary)}; `model ms`: its median without tokenisation. "
            "`vs PyTorch` and `vs int8`: how many times faster than those forms of the teacher."
        )
        lines.append(timing)
    lines += ["", *selection_lines(summary)]
    return "\n".join(lines) + "\n"


def selection_lines(summary: Summary) -> list[str]:
    """The champion, whether the test rows confirm it, and why each other candidate was refused."""
    selection = summary.selection
    limits = (
        f"retention at least {selection.min_retention_lower:.1%} at the lower end, {selection.min_speedup:g}x faster "
        f"and {selection.min_size_ratio:g}x smaller than the PyTorch teacher"
    )
    lines = [f"No champion: no candidate meets the constraints on dev ({limits}).", ""]
    if selection.champion is not None:
        word = "confirm" if selection.confirmed_on_test else "do not confirm"
        best = f"the best {selection.metric} on dev within the constraints ({limits})"
        lines = [f"Champion: `{selection.champion}`, {best}; the test rows {word} its retention.", ""]
    for verdict in selection.verdicts:
        if verdict.refused_because:
            lines.append(f"- `{verdict.subject}` is refused: {'; '.join(verdict.refused_because)}.")
        elif verdict.subject != selection.champion:
            quality = f"{selection.metric} {verdict.dev_quality:.4f} on dev"
            lines.append(f"- `{verdict.subject}` meets the constraints too, with {quality}.")
    return lines


def hardware(summary: Summary) -> str:
    """The machine in words: processor, cores, and the instructions that int8 arithmetic profits from."""
    machine = summary.environment
    flags = [flag for flag in machine.cpu_flags if "vnni" in flag or "int8" in flag]
    return f"{machine.cpu_model}, {_count(machine.num_cpus, 'core')}, {', '.join(flags) if flags else 'no VNNI'}"


def with_interval(estimate: Estimate | None, *, percent: bool = False) -> str:
    """A value with its interval in brackets."""
    if estimate is None:
        return NOTHING
    if percent:
        return f"{estimate.value:.1%} [{100 * estimate.lower:.1f}, {100 * estimate.upper:.1f}]"
    return f"{estimate.value:.3f} [{estimate.lower:.3f}, {estimate.upper:.3f}]"


def megabytes(size_bytes: int | None) -> str:
    """Bytes as megabytes of 10^6 bytes."""
    return NOTHING if size_bytes is None else f"{size_bytes / 1e6:.1f} MB"


def milliseconds(value: float) -> str:
    """A latency with three significant digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"  # noqa: PLR2004


def times(ratio: float | None) -> str:
    """A ratio as "12.3x"."""
    return NOTHING if ratio is None else f"{ratio:.1f}x"


def _rich_table(summary: Summary, without: tuple[str, ...]) -> Table:
    columns = [column for column in COLUMNS if column.heading not in without]
    table = Table(box=SIMPLE_HEAD, header_style="bold", collapse_padding=True, pad_edge=False)
    for column in columns:
        heading = column.heading.replace(" ", "\n")
        table.add_column(heading, justify="right" if column.numeric else "left", vertical="bottom", no_wrap=True)
    shown = table_rows(summary)
    for row, following in zip(shown, [*shown[1:], None], strict=True):
        table.add_row(
            *(column.show(row) for column in columns),
            style="bold green" if row.subject == summary.selection.champion else None,
            end_section=following is not None and following.model != row.model,
        )
    return table


def _pair(cells: list[str]) -> list[tuple[Column, str]]:
    return list(zip(COLUMNS, cells, strict=True))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
