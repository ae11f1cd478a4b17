"""The common style of all figures, and rendering with equal bytes for equal figures."""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from pipestill.reporting.plots.glyphs import families

INK = "#1f2933"
QUIET = "#7b8794"
FAINT = "#e4e7eb"
TEACHER_COLOUR = "#3e4c59"
STUDENT_COLOURS = ("#1f77b4", "#d9622b", "#2f8f6b", "#8a5fb0", "#b8860b", "#c2477f", "#4aa3a2", "#7a6a58")
DOTS_PER_INCH = 160

STYLE = {
    "font.size": 9.5,
    "text.parse_math": False,  # a label such as `$0-$50` must not be read as a formula
    "text.usetex": False,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "svg.hashsalt": "pipestill",
    "figure.facecolor": "white",
}


class Drawing(NamedTuple):
    """The bytes of one figure in both formats."""

    png: bytes
    svg: bytes


def halo() -> withStroke:
    """Make a white rim that keeps a label readable on a line."""
    return withStroke(linewidth=3, foreground="white")


def student_colours(names: Sequence[str]) -> dict[str, str]:
    """Assign each student a colour, in the order of params.yaml, the same in every figure."""
    return {name: STUDENT_COLOURS[number % len(STUDENT_COLOURS)] for number, name in enumerate(names)}


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches, with automatic layout and without a display. Use within `styled`."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def styled(*texts: str) -> Iterator[None]:
    """Set the context in which figures are made and written: texts are drawn literally, `$` included.

    Args:
        texts: user texts in the figure, which may need additional fonts.
    """
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)  # a missing bold face does not matter to readers of a stage's lines
    try:
        with mpl.rc_context(STYLE | {"font.family": families(texts)}):  # type: ignore[arg-type]  # the stubs list every key
            yield
    finally:
        log.setLevel(level)


def render(figure: Figure) -> Drawing:
    """Draw a figure as PNG and SVG, without date or software version, so that equal figures are equal bytes."""
    with styled():
        png, svg = (
            _written(figure, kind, metadata)
            for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None}))
        )
    return Drawing(png, svg)


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Move values apart as little as needed, so that labels at them do not overlap.

    Args:
        values: preferred positions of the labels.
        gap: least distance between two labels.

    Returns:
        The new positions, in the order of the values.
    """
    order = sorted(range(len(values)), key=lambda number: (values[number], number))
    groups: list[tuple[float, list[int]]] = []  # centre of each run of touching labels, and its members
    for number in order:
        groups.append((values[number], [number]))
        while len(groups) > 1 and _reach(groups[-1], gap, -1) < _reach(groups[-2], gap, 1):
            (below, first), (above, second) = groups[-2:]
            centre = (below * len(first) + above * len(second)) / (len(first) + len(second))
            groups[-2:] = [(centre, first + second)]
    places = [0.0] * len(values)
    for centre, members in groups:
        for position, number in enumerate(members):
            places[number] = centre + (position - (len(members) - 1) / 2) * gap
    return places


def place_labels(axes: Axes, labels: Sequence[tuple[float, float, str, str]], obstacles: Sequence[Bbox]) -> None:
    """Write a label beside each point, where it covers neither an obstacle nor another label.

    Args:
        axes: axes with their limits set.
        labels: x, y, text and colour of each label.
        obstacles: boxes in pixels that labels should leave free.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes belong to a figure"
    figure.draw_without_rendering()
    taken = list(obstacles)
    frame = axes.get_window_extent()
    sides = [
        (0, 11, "center", "bottom"),
        (0, -11, "center", "top"),
        (9, 0, "left", "center"),
        (-9, 0, "right", "center"),
    ]
    sides += [(8, 8, "left", "bottom"), (-8, 8, "right", "bottom"), (8, -8, "left", "top"), (-8, -8, "right", "top")]
    sides += [(0, 26, "center", "bottom"), (0, -26, "center", "top"), (0, 42, "center", "bottom")]
    for x, y, words, colour in labels:
        tries: list[tuple[float, Text, Bbox]] = []
        for right, up, horizontal, vertical in sides:
            text = axes.annotate(
                words, (x, y), (right, up), textcoords="offset points", ha=horizontal, va=vertical, color=colour,
                fontsize=9, fontweight="bold", annotation_clip=False, path_effects=[halo()],
            )  # fmt: skip
            text.set_in_layout(False)
            box = text.get_window_extent()
            outside = not (frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1)
            tries.append((sum(_overlap(box, other) for other in taken) + outside * 1e6, text, box))
        best = min(tries, key=lambda attempt: attempt[0])
        for attempt in tries:
            if attempt is not best:
                attempt[1].remove()
        taken.append(best[2])


def _written(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
    return buffer.getvalue()


def _reach(group: tuple[float, list[int]], gap: float, side: int) -> float:
    return group[0] + side * len(group[1]) * gap / 2


def _overlap(first: Bbox, second: Bbox) -> float:
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return width * height if width > 0 and height > 0 else 0.0
