"""The figures of a report as metrics: on the pipeline's run for every file, on a training's run for its own model's."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipestill.tracking.live import Point
from pipestill.variants import TORCH

Place = tuple[str, ...]
"""Keys that lead to a number in a row of the summary."""
FIGURES: Mapping[str, Place] = {
    "test.agreement": ("test", "agreement", "value"),
    "test.retention": ("test", "retention", "value"),
    "size_bytes": ("size_bytes",),
    "p50_ms": ("speed", "p50_ms"),
    "model_p50_ms": ("speed", "model_p50_ms"),
    "speedup_over_teacher_torch": ("speed", "speedup_over_teacher_torch"),
    "speedup_over_teacher_int8": ("speed", "speedup_over_teacher_int8"),
}
"""The table's columns beside the task's measures, and their places in a row of the summary.

The UI makes a section of what is before the `/`, so a figure's values lie side by side for all models; the other
numbers are in summary.json and on the stages' runs.
"""
RESULT: Mapping[str, Place] = {
    "retention": ("test", "retention", "value"),
    "p50_ms": ("speed", "p50_ms"),
}
"""The figures of one file that a run logs beside its primary measure.

A list of runs shows pipelines and students in the same columns.
"""
DIGITS = 4
"""Decimals of a result, since a list of runs shows all decimals. The table's metrics are not rounded."""
NOT_SHOWN = TORCH.name
"""The variant of students that is left out: they are used as ONNX files only."""
TEACHER = "teacher"

Row = Mapping[str, Any]


def champion_of(summary: Row) -> str | None:
    """Return the champion as `<model>/<variant>`, or None."""
    champion = (summary.get("selection") or {}).get("champion")
    return None if champion is None else str(champion)


def table_points(summary: Row, time_ms: int) -> list[Point]:
    """List the table as metrics: the champion's result, `champion/<figure>`, `<figure>/<model>.<variant>`.

    MLflow lists a run's metrics in the order in which they were written first.
    """
    chosen_by = str((summary.get("selection") or {}).get("metric"))
    rows = {subject(row): row for row in _shown(summary)}
    measures = dict.fromkeys(name for row in rows.values() for name in row["test"]["measures"])
    figures = {
        f"dev.{chosen_by}": _measure("dev", chosen_by, "value"),
        **{f"test.{name}": _measure("test", name, "value") for name in measures},
        **FIGURES,
    }
    champion = rows.get(champion_of(summary) or "")
    points = [] if champion is None else result_points(champion, time_ms)
    if champion is not None:
        points += [Point(f"champion/{name}", value, 0, time_ms) for name, value in _values(champion, figures)]
    for figure, path in figures.items():
        for row in rows.values():
            points += [
                Point(f"{name}/{row['model']}.{row['variant']}", value, 0, time_ms)
                for name, value in _values(row, {figure: path})
            ]
    return points


def result_points(row: Row, time_ms: int) -> list[Point]:
    """Return one file's figures as `result/<figure>`, to DIGITS decimals, and its size in MB."""
    primary = str(row["test"]["primary_measure"])
    ends = {"": "value", "_lower": "lower", "_upper": "upper"}
    quality = {f"{primary}{suffix}": _measure("test", primary, end) for suffix, end in ends.items()}
    figures = dict(_values(row, {**quality, **RESULT}))
    size_bytes = _number(row, ("size_bytes",))
    if size_bytes is not None:
        figures["size_mb"] = size_bytes / 1e6
    return [Point(f"result/{name}", round(value, DIGITS), 0, time_ms) for name, value in figures.items()]


def row_of(summary: Row, model: str) -> Row | None:
    """Return the row that represents a model: the champion or the PyTorch teacher, else the smallest file."""
    rows = [row for row in _shown(summary) if row["model"] == model]
    wanted = {champion_of(summary), f"{TEACHER}/{NOT_SHOWN}"}
    chosen = next((row for row in rows if subject(row) in wanted), None)
    return chosen or min(rows, key=lambda row: _number(row, ("size_bytes",)) or float("inf"), default=None)


def subject(row: Row) -> str:
    """Return a row's file as `<model>/<variant>`."""
    return f"{row['model']}/{row['variant']}"


def _shown(summary: Row) -> list[Row]:
    rows: list[Row] = summary.get("rows", [])
    return [row for row in rows if row["variant"] != NOT_SHOWN or row["model"] == TEACHER]


def _measure(split: str, name: str, end: str) -> Place:
    return (split, "measures", name, end)


def _values(row: Row, figures: Mapping[str, Place]) -> Iterator[tuple[str, float]]:
    """Return the figures that a row has."""
    for name, path in figures.items():
        value = _number(row, path)
        if value is not None:
            yield name, value


def _number(row: Row, path: Place) -> float | None:
    """Return the number at a place of a row, or None."""
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is None else float(value)
