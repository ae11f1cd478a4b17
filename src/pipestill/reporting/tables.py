"""The comparison table, full and short: on the terminal, in Markdown, and as plain text."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipestill.markdown import escaped
from pipestill.metrics.uncertainty import Estimate
from pipestill.reporting.notes import notes, opening
from pipestill.reporting.rows import BASELINE, TEACHER, ComparisonRow
from pipestill.reporting.summary import Summary
from pipestill.tasks import TASKS, Measure, Task
from pipestill.variants import INT8, LINEAR, TORCH

NOTHING = "-"
TEXT_WIDTH = 160
"""Width of the plain-text table in characters: wide enough that no cell is cut."""
SHORT_WIDTH = 80
"""Width of the short table in characters, which fits every terminal."""
DROPPED_WHEN_NARROW = ("p99 ms", "p95 ms", "model ms", "agreement", "vs int8", "size", "p50 ms")
"""Columns that are dropped on a narrow terminal, in this order, after all measures but the primary one."""
SHORT_NAMES = {
    f"{BASELINE}/{LINEAR.name}": "linear baseline",
    f"{TEACHER}/{TORCH.name}": "PyTorch teacher",
    f"{TEACHER}/{INT8.name}": "int8 teacher",
}
"""The rows of the short table that every pipeline has; each student's int8 file follows them."""


class Column(NamedTuple):
    """A column of the table: its heading, its value for a row, and its alignment."""

    heading: str
    show: Callable[[ComparisonRow], str]
    numeric: bool = True


def short_name(row: ComparisonRow) -> str:
    """Return a row's name in the short table; a student's variant is left out where it is int8."""
    title = "" if row.variant == INT8.name else f" {row.title}"
    return SHORT_NAMES.get(row.subject, f"{row.model}{title}")


AGREEMENT = Column("agreement", lambda row: f"{row.test.agreement.value:.1%}" if row.test.agreement else NOTHING)
SIZE = Column("size", lambda row: megabytes(row.size_bytes))
P50 = Column("p50 ms", lambda row: milliseconds(row.speed.p50_ms) if row.speed else NOTHING)
VS_TORCH = Column("vs PyTorch", lambda row: times(row.speedup_over_torch))
NAMES = (
    Column("model", lambda row: row.model, numeric=False),
    Column("variant", lambda row: row.title, numeric=False),
)
"""The columns that name a row."""
RETENTION = Column("retention", lambda row: with_interval(row.test.retention, percent=True))
COSTS = (
    SIZE,
    P50,
    Column("p95 ms", lambda row: milliseconds(row.speed.p95_ms) if row.speed else NOTHING),
    Column("p99 ms", lambda row: milliseconds(row.speed.p99_ms) if row.speed else NOTHING),
    Column("model ms", lambda row: milliseconds(row.speed.model_p50_ms) if row.speed else NOTHING),
    VS_TORCH,
    Column("vs int8", lambda row: times(row.speedup_over_int8)),
)
SHORT_RETENTION = Column("retention", lambda row: f"{row.test.retention.value:.1%}" if row.test.retention else NOTHING)


def columns(task: Task) -> tuple[Column, ...]:
    """Return the columns of the full table, from left to right."""
    headline = [_value(measure) for measure in task.headline[1:]]
    calibration = [_value(measure) for measure in task.measures if measure not in task.by_epoch]
    return (*NAMES, _primary(task), *headline, AGREEMENT, RETENTION, *calibration, *COSTS)


def short_columns(task: Task) -> tuple[Column, ...]:
    """Return the columns of the short table, from left to right."""
    return (Column("model", short_name, numeric=False), _primary(task), SHORT_RETENTION, SIZE, P50, VS_TORCH)


def _primary(task: Task) -> Column:
    return Column(task.primary.title, lambda row: with_interval(row.test.primary))


def _value(measure: Measure) -> Column:
    return Column(measure.title, lambda row: f"{row.test.measures[measure.name].value:.3f}")


def table_rows(summary: Summary) -> tuple[ComparisonRow, ...]:
    """Return the rows of the full table: students only as ONNX files, as they are used."""
    return tuple(row for row in summary.rows if row.model in (BASELINE, TEACHER) or row.variant != TORCH.name)


def short_rows(summary: Summary) -> tuple[ComparisonRow, ...]:
    """List the short table's rows: baseline, teacher, int8 teacher, each student's int8 file, the packaged file."""
    packaged = summary.selection.packaged
    return tuple(
        row
        for row in summary.rows
        if row.subject in (*SHORT_NAMES, packaged) or (row.variant == INT8.name and row.model != TEACHER)
    )


def markdown_table(summary: Summary) -> str:
    """Write the full table in Markdown, the champion in bold, or else the nearest candidate in italics."""
    return _markdown(summary, columns(TASKS[summary.task]), table_rows(summary))


def short_markdown_table(summary: Summary) -> str:
    """Write the short table in Markdown, marked likewise; ends in a newline."""
    return _markdown(summary, short_columns(TASKS[summary.task]), short_rows(summary))


def rich_table(summary: Summary, width: int = TEXT_WIDTH) -> Table:
    """Make the full table for a terminal of some width, the champion in bold green, a rule between models."""
    task = TASKS[summary.task]
    dropped = (*(each.title for each in task.measures if each != task.primary), *DROPPED_WHEN_NARROW)
    hidden = 0
    table = _rich_table(summary, columns(task), table_rows(summary))
    while hidden < len(dropped) and Console(width=10 * TEXT_WIDTH).measure(table).maximum > width:
        hidden += 1
        shown = [column for column in columns(task) if column.heading not in dropped[:hidden]]
        table = _rich_table(summary, shown, table_rows(summary))
    return table


def short_rich_table(summary: Summary) -> Table:
    """Make the short table for a terminal of `SHORT_WIDTH` columns; a long name continues on the next line."""
    table = _rich_table(summary, short_columns(TASKS[summary.task]), short_rows(summary), rules=False)
    table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
    return table


def text_table(summary: Summary) -> str:
    """Write advice, choice, the full table, its notes and remarks as plain text, the same bytes on every terminal."""
    console = Console(width=TEXT_WIDTH, no_color=True, highlight=False, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(rich_table(summary))
    table = "\n".join(line.rstrip() for line in capture.get().splitlines())
    remarks = "".join(f"\n{remark}\n" for remark in summary.remarks)
    return f"{opening(summary)}\n\n{table}\n\n{notes(summary)}{remarks}"


def markdown_page(summary: Summary) -> str:
    """Write advice, choice, the full table, its notes and remarks as Markdown; ends in a newline."""
    remarks = "".join(f"\n{escaped(remark)}\n" for remark in summary.remarks)
    return f"{opening(summary)}\n\n{markdown_table(summary)}\n{notes(summary)}{remarks}"


def with_interval(estimate: Estimate | None, *, percent: bool = False) -> str:
    """Format a value with its interval in brackets."""
    if estimate is None:
        return NOTHING
    if percent:
        return f"{estimate.value:.1%} [{100 * estimate.lower:.1f}, {100 * estimate.upper:.1f}]"
    return f"{estimate.value:.3f} [{estimate.lower:.3f}, {estimate.upper:.3f}]"


def megabytes(size_bytes: int | None) -> str:
    """Format bytes as megabytes of 10^6 bytes."""
    return NOTHING if size_bytes is None else f"{size_bytes / 1e6:.1f} MB"


def milliseconds(value: float) -> str:
    """Format a latency with three significant digits."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"  # noqa: PLR2004


def times(ratio: float | None) -> str:
    """Format a ratio as "12.3x"."""
    return NOTHING if ratio is None else f"{ratio:.1f}x"


def _markdown(summary: Summary, columns: Sequence[Column], rows: Sequence[ComparisonRow]) -> str:
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|" + "|".join("---:" if column.numeric else "---" for column in columns) + "|",
    ]
    mark = "**" if summary.champion else "*"
    for row in rows:
        cells = [column.show(row) if column.numeric else escaped(column.show(row)) for column in columns]
        if row.subject == summary.selection.packaged:
            cells = [
                cell if column.numeric else f"{mark}{cell}{mark}" for column, cell in zip(columns, cells, strict=True)
            ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _rich_table(
    summary: Summary, columns: Sequence[Column], rows: Sequence[ComparisonRow], *, rules: bool = True
) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", collapse_padding=True, pad_edge=False)
    for column in columns:
        heading = column.heading.replace(" ", "\n")
        table.add_column(heading, justify="right" if column.numeric else "left", vertical="bottom", no_wrap=True)
    mark = "bold green" if summary.champion else "bold yellow"
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(
            *(Text(column.show(row)) for column in columns),
            style=mark if row.subject == summary.selection.packaged else None,
            end_section=rules and following is not None and following.model != row.model,
        )
    return table
