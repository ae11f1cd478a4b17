"""Training curves of each model: loss over training, and quality on dev after each epoch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipestill.reporting.plots.style import TEACHER_COLOUR, halo, new_figure, spread, student_colours, styled
from pipestill.reporting.rows import TEACHER
from pipestill.tasks import Measure
from pipestill.training.records import TrainingRecord

LABEL_GAP = 0.055
"""Least distance between two labels, as a share of the axes' height."""
MAX_POINTS = 60
"""Most points of a loss curve; more steps are averaged into this many."""


def plot_curves(measure: Measure, records: Sequence[TrainingRecord]) -> Figure:
    """Plot loss relative to its first value (since objectives differ in scale), and a measure on dev by epoch.

    Args:
        measure: measure on dev to plot.
        records: training records of the teacher and the students, at least one.
    """
    names = [record.model for record in records if record.model != TEACHER]
    colours = student_colours(names) | {TEACHER: TEACHER_COLOUR}
    with styled():
        figure = new_figure(9.6, 4.0)
        left, right = figure.subplots(1, 2)
        for record in records:
            _loss(left, record, colours[record.model])
            _dev(right, measure, record, colours[record.model])
        left.set_title("Training loss")
        left.set_xlabel("share of the training done")
        left.set_ylabel("loss / its first value")
        left.set_ylim(bottom=0)
        left.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        right.set_title(f"{measure.title.capitalize()} on dev (ring: the epoch that was kept)")
        right.set_xlabel("epoch")
        right.set_ylabel(f"{measure.title} on dev")
        right.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.margins(x=0.06)
        _label_ends(right, measure, records, colours)
    return figure


def _loss(axes: Axes, record: TrainingRecord, colour: str) -> None:
    if not record.steps or record.steps[0].loss == 0:
        return
    pieces = min(MAX_POINTS, len(record.steps))
    steps = [piece.mean() for piece in np.array_split(np.array([point.step for point in record.steps]), pieces)]
    losses = [piece.mean() for piece in np.array_split(np.array([point.loss for point in record.steps]), pieces)]
    axes.plot([step / record.steps[-1].step for step in steps], [loss / losses[0] for loss in losses], color=colour)


def _dev(axes: Axes, measure: Measure, record: TrainingRecord, colour: str) -> None:
    epochs = [point.epoch for point in record.epochs]
    qualities = [point.dev[measure.name] for point in record.epochs]
    axes.plot(epochs, qualities, color=colour, marker="o", markersize=3.5)
    best = record.best.dev[measure.name]
    axes.plot(record.best_epoch, best, "o", markersize=9, markerfacecolor="none", markeredgecolor=colour)


def _label_ends(axes: Axes, measure: Measure, records: Sequence[TrainingRecord], colours: dict[str, str]) -> None:
    """Write each model's name at the end of its line, moved apart where lines end close together."""
    low, high = axes.get_ylim()
    for last in {record.epochs[-1].epoch: None for record in records}:
        ending = [record for record in records if record.epochs[-1].epoch == last]
        places = spread([record.epochs[-1].dev[measure.name] for record in ending], LABEL_GAP * (high - low))
        for record, place in zip(ending, places, strict=True):
            axes.annotate(
                record.model, (last, place), (10, 0), textcoords="offset points", va="center", fontweight="bold",
                color=colours[record.model], fontsize=9, annotation_clip=False, path_effects=[halo()],
            )  # fmt: skip
