"""The reliability diagram: share of right answers against confidence, bin by bin."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from pipestill.metrics.records import SplitQuality
from pipestill.reporting.plots.style import QUIET, new_figure, styled
from pipestill.tasks.classes import ECE


def plot_reliability(curves: Sequence[tuple[str, str, SplitQuality]], num_labels: int) -> Figure:
    """Plot the reliability diagram: on the diagonal a confidence of 80% is right 80 times in 100.

    Args:
        curves: name, colour and quality of each model; a dot's area is its share of the rows.
        num_labels: number of labels; confidence starts at 1 / num_labels.
    """
    lowest = 1 / num_labels
    handles = []
    with styled():
        figure = new_figure(5.4, 5.0)
        axes = figure.subplots()
        axes.plot([lowest, 1], [lowest, 1], color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
        for _, colour, quality in curves:
            bins = quality.reliability
            rows = sum(part.num_rows for part in bins)
            x, y = [part.mean_confidence for part in bins], [part.right_fraction for part in bins]
            axes.plot(x, y, color=colour, linewidth=1.1, alpha=0.8)
            axes.scatter(
                x, y, s=[6 + 220 * part.num_rows / rows for part in bins], color=colour, alpha=0.75, linewidths=0
            )
            handles += axes.plot([], [], "o", color=colour, markersize=5)
        axes.set_xlim(lowest - 0.03, 1.03)
        shares = [part.right_fraction for _, _, quality in curves for part in quality.reliability]
        axes.set_ylim(min([lowest, *shares]) - 0.05, 1.04)
        axes.set_title("Reliability on test (area: share of rows)")
        axes.set_xlabel("mean confidence")
        axes.set_ylabel("share of right answers")
        words = [f"{name}   ECE {quality.measures[ECE.name].value:.3f}" for name, _, quality in curves]
        # Listed one by one: by itself a legend passes over a name that begins with an underscore.
        axes.legend(handles, words, loc="lower right", labelcolor="linecolor", handletextpad=0.1, fontsize=9)
    return figure
