"""Figures as bytes. A figure that cannot be drawn is left out and named with its error; the others are not affected."""

import base64
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from matplotlib.figure import Figure

from pipestill.records import write_bytes
from pipestill.reporting.plots.style import Drawing, render

Plot = Callable[[], Figure | None]
_BLANK_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="
)
"""One white pixel."""


class Figures(NamedTuple):
    """The figures that were drawn, and the error of each one that could not be, both by name."""

    drawn: dict[str, Drawing]
    failed: dict[str, str]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on the figures that are left out because of an error."""
        return tuple(f'The figure "{name}" is left out: {error}' for name, error in self.failed.items())


def draw(plots: Mapping[str, Plot]) -> Figures:
    """Draw figures; an error leaves out one figure only.

    Args:
        plots: functions that make the figures, by name; None for a figure without data.
    """
    figures = Figures({}, {})
    for name, plot in plots.items():
        try:
            figure = plot()
            if figure is not None:
                figures.drawn[name] = render(figure)
        except Exception as error:  # noqa: BLE001 (whatever it is, the report is worth more than the figure)
            reason = " ".join(str(error).split())
            figures.failed[name] = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    return figures


def write_figures(figures: Figures, names: Collection[str], folder: Path) -> None:
    """Write `<name>.png` and `<name>.svg`, a blank file for a missing figure, since DVC requires every output.

    Args:
        figures: figures that were drawn, and the errors of the others.
        names: names of all figures that dvc.yaml lists.
        folder: folder to write to.
    """
    for name in names:
        reason = figures.failed.get(name, "nothing to show")
        drawing = figures.drawn.get(name) or _blank(f"{name}: {reason}")
        write_bytes(folder / f"{name}.png", drawing.png)
        write_bytes(folder / f"{name}.svg", drawing.svg)


def _blank(words: str) -> Drawing:
    """Make a blank figure without matplotlib, which may be the cause of the failure; the SVG holds the reason."""
    printable = "".join(char if char.isprintable() else " " for char in words)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="40">'
        f'<text x="8" y="24" font-family="sans-serif" font-size="13">{escape(printable)}</text></svg>\n'
    )
    return Drawing(_BLANK_PNG, svg.encode("utf-8", "backslashreplace"))
