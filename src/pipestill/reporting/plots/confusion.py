"""The confusion matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipestill.data.look_alikes import visible
from pipestill.reporting.plots.glyphs import drawable, is_drawable
from pipestill.reporting.plots.style import INK, new_figure, styled

MAX_LABELS_WITH_NUMBERS = 12
MAX_LABELS_WITH_NAMES = 60
MAX_NAME_CHARACTERS = 24
MAX_CHARACTERS_LYING = 40
"""Most characters of all names together that fit side by side under the matrix."""
PALE_TO_BLUE = LinearSegmentedColormap.from_list("pale_to_blue", ["#ffffff", "#cfe1f0", "#6aa5d0", "#1f5f97"])


def plot_confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str], title: str) -> Figure:
    """Plot the confusion matrix: colour is the share of the hard label's rows, numbers are rows.

    Args:
        matrix: counts `[label, label]`, hard label by predicted label.
        labels: names by label_id. Beyond 12, numbers are left out; beyond 60, names.
        title: title of the figure.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = min(9.0, 3.2 + 0.22 * len(labels))
    names = [_short(name) for name in drawn_names(labels)]
    with styled(*names, title):
        figure = new_figure(side + 0.8, side)
        figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, compress=True))
        axes = figure.subplots()
        axes.grid(visible=False)
        image = axes.imshow(shares, cmap=PALE_TO_BLUE, vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(drawable(title))
        axes.set_xlabel("predicted label")
        axes.set_ylabel("hard label")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        if len(labels) <= MAX_LABELS_WITH_NAMES:
            size = 8.5 if len(labels) <= MAX_LABELS_WITH_NUMBERS else 6
            upright = sum(map(len, names)) >= MAX_CHARACTERS_LYING
            axes.set_xticks(range(len(labels)), names, rotation=90 if upright else 0, fontsize=size)
            axes.set_yticks(range(len(labels)), names, fontsize=size)
        if len(labels) <= MAX_LABELS_WITH_NUMBERS:
            for (row, column), share in np.ndenumerate(shares):
                colour = "white" if share > 0.6 else INK  # noqa: PLR2004 (dark cells)
                axes.text(column, row, f"{int(counts[row, column]):,}", ha="center", va="center", color=colour)
        else:
            bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=28, ticks=[0, 0.5, 1])
            bar.set_label("share of the hard label's rows")
            bar.outline.set_visible(False)
    return figure


def drawn_names(labels: Sequence[str]) -> list[str]:
    """Name each label as the figure does: as it is, or `#2` for label_id 2 where no font has its characters."""
    shown = [visible(label) for label in labels]
    return [name if is_drawable(name) else f"#{label_id}" for label_id, name in enumerate(shown)]


def substitutes(labels: Sequence[str]) -> dict[str, str]:
    """Return the labels that the figure draws by number, by that number; empty where it does not draw names."""
    if len(labels) > MAX_LABELS_WITH_NAMES:
        return {}
    names = drawn_names(labels)
    return {name: shown for name, shown in zip(names, map(visible, labels), strict=True) if name != shown}


def _short(label: str) -> str:
    return label if len(label) <= MAX_NAME_CHARACTERS else label[: MAX_NAME_CHARACTERS - 1] + "…"
