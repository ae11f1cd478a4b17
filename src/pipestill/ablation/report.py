"""The table as Markdown and as a figure."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.figure import Figure

from pipestill.ablation.records import AblationRecord, AblationRow, Spread
from pipestill.environment import Environment
from pipestill.markdown import escaped
from pipestill.metrics.uncertainty import Estimate
from pipestill.records import write_bytes, write_json
from pipestill.reporting.figures import Figures, draw, write_figures
from pipestill.reporting.plots.glyphs import drawable
from pipestill.reporting.plots.style import QUIET, TEACHER_COLOUR, new_figure, student_colours, styled
from pipestill.tasks import CLASSES, TASKS

NOTHING = "-"
SYSTEMS = (
    "| system | recipe | {quality} on test | retention | agreement | less the teacher "
    "| int8 {quality} | int8 size | p50 |"
)
CELLS = (
    "| student | recipe | {quality} on dev | {quality} on test | less the recipe before | less the teacher "
    "| training | int8 {quality} | int8 size | p50 |"
)

FIGURE = CLASSES.primary.name
"""File name of the figure, as dvc.yaml lists it."""
DODGE = 0.5
"""Share of the distance between recipes over which students are spread, so that their bars lie side by side."""
LABEL_WIDTH = 18
"""Most characters in a line below the axis."""


def write_report(record: AblationRecord, folder: Path) -> Figures:
    """Write ablation.json, ablation.md and the figure, and return the drawn figures."""
    figures = draw({FIGURE: partial(plot_cells, record)})
    write_json(folder / "ablation.json", record)
    write_bytes(folder / "ablation.md", f"# The ablation\n\n{markdown_tables(record, figures)}".encode())
    write_figures(figures, [FIGURE], folder)
    return figures


def markdown_tables(record: AblationRecord, figures: Figures) -> str:
    """Write both tables, and a line on the figure if it could not be drawn; ends in a newline."""
    remarks = "".join(f"\n{escaped(remark)}\n" for remark in figures.remarks)
    return f"{systems_table(record)}\n{cells_table(record)}{remarks}"


def systems_table(record: AblationRecord) -> str:
    """Write one row per student with the recipe that is best on dev, and the notes; ends in a newline."""
    chosen = [row for row in record.rows if f"{row.student}-{row.recipe}" in record.systems]
    lines = [
        SYSTEMS.format(quality=_quality(record)),
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        *(
            _line(
                [
                    escaped(row.student_title),
                    escaped(row.recipe_title),
                    _spread(row.test_quality),
                    _percent(row.retention),
                    f"{row.agreement:.1%}",
                    _points(row.difference_to_teacher),
                    f"{row.int8_test_quality:.3f}",
                    f"{row.int8_size_bytes / 1e6:.1f} MB",
                    f"{row.model_p50_ms:.2f} ms",
                ]
            )
            for row in chosen
        ),
    ]
    return "\n".join(["## Systems", "", *lines, "", *notes(record), ""])


def cells_table(record: AblationRecord) -> str:
    """Write one row per cell; ends in a newline."""
    lines = [
        CELLS.format(quality=_quality(record)),
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *map(_cell_line, record.rows),
    ]
    return "\n".join(["## Every student with every recipe", "", *lines, ""])


def notes(record: AblationRecord) -> list[str]:
    """Describe the numbers, their rows and machines, and the rule of choice."""
    teacher, resampling = record.teacher, record.resampling
    seeds = ", ".join(map(str, record.seeds))
    machines = "; ".join(map(_machine, record.training_environments))
    return [
        (
            f"{_quality(record).capitalize()}: mean ± sample standard deviation over the seeds {seeds}, on "
            f"{record.num_test_rows:,} test rows. The recipe of a system and the epoch of a training are those that "
            f"are best on {record.num_dev_rows:,} dev rows; test chose nothing. The PyTorch teacher: "
            f"{teacher.test_quality:.3f}; TF-IDF and logistic regression: {record.baseline_test_quality:.3f}"
            f"{_below(record)}. Agreement: rows with the teacher's label, mean over seeds. "
            f"Brackets: {resampling.confidence:.0%} paired-bootstrap intervals "
            f"({resampling.replicates:,} replicates); differences in percentage points. {record.pooling}"
        ),
        "",
        (
            f"int8 {_quality(record)}: the int8 ONNX file of the first seed, each row by itself. p50: median latency "
            "of the student's int8 file, batch 1, one thread, tokenisation left out, all subjects in turns in one run; "
            f"the PyTorch teacher {teacher.torch_p50_ms:.2f} ms, the int8 teacher {teacher.int8_p50_ms:.2f} ms. "
            "Training: wall time of one seed."
        ),
        "",
        f"Trained on {machines}. Timed on {_machine(record.latency_environment)}.",
        "",
    ]


def plot_cells(record: AblationRecord) -> Figure:
    """Plot each student's quality by recipe: a point for the mean, a bar from the lowest to the highest seed."""
    students = list(dict.fromkeys(row.student for row in record.rows))
    recipes = list(dict.fromkeys(row.recipe for row in record.rows))
    titles = {row.recipe: row.recipe_title for row in record.rows}
    colours = student_colours(students)
    handles: list[Any] = []  # matplotlib's stubs forget that a legend takes error bars
    names: list[str] = []
    with styled(*titles.values(), *(row.student_title for row in record.rows)):
        figure = new_figure(9.0, 5.6)
        axes = figure.subplots()
        handles.append(axes.axhline(record.teacher.test_quality, color=TEACHER_COLOUR, linewidth=1, linestyle="--"))
        names.append("teacher")
        for number, student in enumerate(students):
            own = [row for row in record.rows if row.student == student]
            shift = (number - (len(students) - 1) / 2) * DODGE / max(1, len(students))
            places = [recipes.index(row.recipe) + shift for row in own]
            means = [row.test_quality.mean for row in own]
            below = [row.test_quality.mean - row.test_quality.lowest for row in own]
            above = [row.test_quality.highest - row.test_quality.mean for row in own]
            bars = axes.errorbar(
                places, means, yerr=[below, above], color=colours[student], marker="o", markersize=4.5,
                linewidth=1, elinewidth=1, alpha=0.95,
            )  # fmt: skip
            handles.append(bars)
            names.append(drawable(own[0].student_title))
        axes.set_xticks(range(len(recipes)), [fill(drawable(titles[recipe]), LABEL_WIDTH) for recipe in recipes])
        axes.set_xlim(-0.5, len(recipes) - 0.5)
        axes.set_ylabel(f"{_quality(record)} on test, {len(record.seeds)} seeds: mean, lowest, highest")
        axes.set_title("What each part of a recipe adds")
        axes.grid(visible=False, axis="x")
        axes.tick_params(colors=QUIET)
        figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=8.5)
    return figure


def _quality(record: AblationRecord) -> str:
    return TASKS[record.task].primary.title


def _below(record: AblationRecord) -> str:
    """Name the systems that the linear baseline beats."""
    chosen = [row for row in record.rows if f"{row.student}-{row.recipe}" in record.systems]
    below = [escaped(row.student_title) for row in chosen if row.test_quality.mean < record.baseline_test_quality]
    return f", better than: {'; '.join(below)}" if below else ""


def _cell_line(row: AblationRow) -> str:
    return _line(
        [
            escaped(row.student_title),
            escaped(row.recipe_title),
            _spread(row.dev_quality),
            _spread(row.test_quality),
            _points(row.difference_to_before),
            _points(row.difference_to_teacher),
            f"{row.train_wall_time_s.mean:.0f} s",
            f"{row.int8_test_quality:.3f}",
            f"{row.int8_size_bytes / 1e6:.1f} MB",
            f"{row.model_p50_ms:.2f} ms",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(spread: Spread) -> str:
    deviation = "" if spread.deviation is None else f" ± {spread.deviation:.3f}"
    return f"{spread.mean:.3f}{deviation}"


def _points(estimate: Estimate | None) -> str:
    """Format a difference of fractions in percentage points."""
    if estimate is None:
        return NOTHING
    return f"{100 * estimate.value:+.1f} [{100 * estimate.lower:+.1f}, {100 * estimate.upper:+.1f}]"


def _percent(estimate: Estimate | None) -> str:
    """Format a ratio in percent."""
    if estimate is None:
        return NOTHING
    return f"{estimate.value:.1%} [{estimate.lower:.1%}, {estimate.upper:.1%}]"


def _machine(environment: Environment) -> str:
    return f"{environment.cpu_model}, {environment.num_cpus} CPUs"
