"""The trade-off figure: quality against latency and against size."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from matplotlib.transforms import Bbox

from pipestill.reporting.plots.style import (
    QUIET,
    TEACHER_COLOUR,
    new_figure,
    place_labels,
    student_colours,
    styled,
)
from pipestill.reporting.rows import BASELINE, TEACHER, ComparisonRow
from pipestill.reporting.summary import Summary
from pipestill.reporting.tables import table_rows
from pipestill.tasks import TASKS
from pipestill.variants import Variant, variant_named

POINTS_OF_A_LINE = 60
"""Number of small boxes along a line, which labels avoid."""
Cost = Callable[[ComparisonRow], float]


def plot_tradeoff(summary: Summary) -> Figure | None:
    """Plot the primary measure on test with its interval against p50 latency and against size, one line per model.

    Returns:
        The figure, or None if nothing was timed.
    """
    rows = [row for row in table_rows(summary) if row.speed is not None]
    if not rows:
        return None
    name = TASKS[summary.task].primary.title
    students = list(dict.fromkeys(row.model for row in rows if row.model != TEACHER))
    colours = student_colours(students) | {TEACHER: TEACHER_COLOUR}
    baseline = next((row for row in summary.rows if row.model == BASELINE), None)
    with styled():
        figure = new_figure(9.6, 4.4)
        left, right = figure.subplots(1, 2, sharey=True)
        _set_quality_limits(left, rows, baseline)
        _panel(left, rows, colours, lambda row: row.speed.p50_ms if row.speed else 0.0, baseline)
        _panel(right, rows, colours, lambda row: (row.size_bytes or 0) / 1e6, baseline)
        left.set_title(f"{name.capitalize()} against latency")
        left.set_xlabel(f"p50 latency of one call, ms ({_conditions(rows)})")
        left.set_ylabel(f"{name} on test, {summary.confidence:.0%} interval")
        right.set_title(f"{name.capitalize()} against size")
        right.set_xlabel("size of the weights, MB")
        _key(figure, list(dict.fromkeys(variant_named(row.variant) for row in rows)))
    return figure


def _panel(
    axes: Axes, rows: Sequence[ComparisonRow], colours: dict[str, str], cost: Cost, baseline: ComparisonRow | None
) -> None:
    axes.set_xscale("log")
    costs = [cost(row) for row in rows]
    axes.set_xlim(min(costs) / 1.6, max(costs) * 1.6)
    _round_ticks(axes, min(costs) / 1.6, max(costs) * 1.6)
    if baseline is not None:
        quality = baseline.test.primary.value
        axes.axhline(quality, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"linear baseline {quality:.3f}", (1, quality), (-2, 4), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", color=QUIET, fontsize=8.5,
        )  # fmt: skip
    for model, colour in colours.items():
        own = sorted((row for row in rows if row.model == model), key=cost)
        axes.plot([cost(row) for row in own], [row.test.primary.value for row in own], color=colour, linewidth=0.9)
        for row in own:
            _point(axes, cost(row), row, colour)
    ends = [min((row for row in rows if row.model == model), key=cost) for model in colours]
    labels = [(cost(row), row.test.primary.value, row.model, colours[row.model]) for row in ends]
    place_labels(axes, labels, _boxes(axes, rows, cost))


def _point(axes: Axes, x: float, row: ComparisonRow, colour: str) -> None:
    quality = row.test.primary
    below, above = quality.value - quality.lower, quality.upper - quality.value
    axes.errorbar(x, quality.value, yerr=[[below], [above]], color=colour, linewidth=1, alpha=0.35, zorder=2)
    variant = variant_named(row.variant)
    axes.plot(
        x, quality.value, variant.marker, color=colour, markersize=7, markeredgewidth=1.5, zorder=3,
        markerfacecolor=_filling(variant, colour),
    )  # fmt: skip


def _boxes(axes: Axes, rows: Sequence[ComparisonRow], cost: Cost) -> list[Bbox]:
    """List the boxes in pixels that lines, points and their intervals cover."""
    boxes = []
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes belong to a figure"
    figure.draw_without_rendering()
    for model in {row.model: None for row in rows}:
        own = sorted((row for row in rows if row.model == model), key=cost)
        ends = [axes.transData.transform((cost(row), row.test.primary.value)) for row in own]
        for (x0, y0), (x1, y1) in pairwise(ends):
            boxes += [
                Bbox.from_bounds(x0 + share * (x1 - x0) - 2, y0 + share * (y1 - y0) - 2, 4, 4)
                for share in np.linspace(0, 1, POINTS_OF_A_LINE)
            ]
    for row in rows:
        interval = row.test.primary
        x, centre = axes.transData.transform((cost(row), interval.value))
        low, high = (axes.transData.transform((cost(row), end))[1] for end in (interval.lower, interval.upper))
        boxes += [Bbox.from_extents(x - 7, centre - 7, x + 7, centre + 7), Bbox.from_extents(x - 2, low, x + 2, high)]
    return boxes


def _set_quality_limits(axes: Axes, rows: Sequence[ComparisonRow], baseline: ComparisonRow | None) -> None:
    ends = [end for row in rows for end in (row.test.primary.lower, row.test.primary.upper)]
    ends += [baseline.test.primary.value] if baseline else []
    margin = 0.08 * max(max(ends) - min(ends), 0.02)
    axes.set_ylim(min(ends) - margin, max(ends) + margin)


def _round_ticks(axes: Axes, low: float, high: float) -> None:
    """Set ticks at 1, 2, 5, 10, ... written out, since latencies span little more than a decade."""
    steps = [digit * 10.0**power for power in range(-4, 6) for digit in (1, 2, 5)]
    axes.xaxis.set_major_locator(FixedLocator([step for step in steps if low <= step <= high]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(FixedLocator([]))


def _filling(variant: Variant, colour: str) -> str:
    """Fill the points of quantised files; those that compute in floats are hollow."""
    return "white" if variant.computes_in_floats else colour


def _key(figure: Figure, variants: Sequence[Variant]) -> None:
    handles = [
        Line2D([], [], marker=variant.marker, linestyle="", color=QUIET, markersize=6.5, markeredgewidth=1.4,
               markerfacecolor=_filling(variant, QUIET), label=variant.title)
        for variant in variants
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8.5, handletextpad=0.2)


def _conditions(rows: Sequence[ComparisonRow]) -> str:
    speed = next(row.speed for row in rows if row.speed)
    return f"batch {speed.batch_size}, {speed.threads} thread{'' if speed.threads == 1 else 's'}"
