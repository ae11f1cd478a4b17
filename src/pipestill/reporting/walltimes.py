"""Wall times of the stages, from the run records that are present: printed, but never written to an output."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from pipestill.records import read_json


class WallTime(NamedTuple):
    """The wall time of a stage's last execution."""

    stage: str
    seconds: float
    started_ms: int


def read_wall_times(folder: Path, stages: Collection[str]) -> list[WallTime]:
    """Read `runs/*.json`, in the order in which the stages started.

    Args:
        folder: folder of the run records; other files in it are ignored.
        stages: stages of dvc.lock; records of others, such as those of a removed student, are ignored.
    """
    times = []
    for path in sorted(folder.glob("*.json")):
        record: Any = read_json(path)
        if (
            isinstance(record, dict)
            and {"stage", "wall_time_s", "start_time_ms"} <= record.keys()
            and record["stage"] in stages
        ):
            times.append(WallTime(record["stage"], record["wall_time_s"], record["start_time_ms"]))
    return sorted(times, key=lambda time: (time.started_ms, time.stage))


def wall_time_table(times: list[WallTime]) -> Table:
    """Make a table of the wall times for a terminal, with their sum."""
    table = Table(header_style="bold", show_footer=True)
    table.add_column("stage", footer="all")
    table.add_column("wall time", justify="right", footer=duration(sum(time.seconds for time in times)))
    for time in times:
        table.add_row(Text(time.stage), duration(time.seconds))
    return table


def duration(seconds: float) -> str:
    """Format seconds as "1 min 05 s" or "5.2 s"."""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60:02d} s"
