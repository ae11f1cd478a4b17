"""Compare two finished runs of the pipeline: the wall time of each stage, the accuracy of each file with its interval.

python tools/compare_runs.py BEFORE AFTER    two clones in which `make repro` has ended, such as of two commits on one
                                             machine, or of one commit on a CPU and on a GPU; prints Markdown
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import PipestillError
from pipestill.markdown import escaped
from pipestill.params import read_params
from pipestill.records import read_record
from pipestill.redaction import print_error
from pipestill.reporting.notes import hardware
from pipestill.reporting.summary import SUMMARY, Summary
from pipestill.reporting.tables import NOTHING, with_interval
from pipestill.reporting.walltimes import WallTime, duration, read_wall_times


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the root of one clone")
    parser.add_argument("after", type=Path, help="the root of the other")
    chosen = parser.parse_args(arguments)
    try:
        print(compare(chosen.before, chosen.after))
    except PipestillError as error:
        print_error(error)
        return 1
    return 0


def compare(before: Path, after: Path) -> str:
    """Write both tables as Markdown.

    Args:
        before: root of one clone.
        after: root of the other clone.

    Raises:
        PipestillError: a clone lacks dvc.lock or the report's summary: its run has not ended.
    """
    roots = (before, after)
    summaries = [read_record(root / "reports" / SUMMARY, Summary) for root in roots]
    machines = "\n".join(
        f"- {word}: {hardware(summary)}" for word, summary in zip(("before", "after"), summaries, strict=True)
    )
    times = [{time.stage: time.seconds for time in wall_times(root)} for root in roots]
    durations = [{stage: duration(seconds) for stage, seconds in with_total(run).items()} for run in times]
    accuracies = [{row.subject: with_interval(row.test.primary) for row in summary.rows} for summary in summaries]
    return "\n\n".join([machines, markdown("stage", durations), markdown("accuracy on test", accuracies)])


def wall_times(root: Path) -> list[WallTime]:
    """Read the wall times of the stages in a clone's dvc.lock."""
    return read_wall_times(root / "runs", read_params(root / "dvc.lock").get("stages", {}))


def with_total(seconds: dict[str, float]) -> dict[str, float]:
    """Return wall times by stage, with their sum as an additional row."""
    return {**seconds, "all stages": sum(seconds.values())}


def markdown(heading: str, columns: Sequence[dict[str, str]]) -> str:
    """Write a table of both runs' values by name, with a dash for a name that one run lacks."""
    names = list(dict.fromkeys(name for column in columns for name in column))
    lines = [f"| {heading} | before | after |", "|---|---:|---:|"]
    lines += [f"| {escaped(name)} | {' | '.join(column.get(name, NOTHING) for column in columns)} |" for name in names]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
