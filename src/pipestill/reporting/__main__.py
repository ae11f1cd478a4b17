"""Show the results of the pipeline, or write them to README.md and docs/results.md.

python -m pipestill.reporting show            the full table, the champion, and what each stage took
python -m pipestill.reporting readme          rewrite the result blocks of README.md and docs/results.md
python -m pipestill.reporting readme --check  exit 1 if a block is out of date
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from pipestill.errors import PipestillError
from pipestill.params import read_params
from pipestill.records import read_record
from pipestill.reporting.notes import notes
from pipestill.reporting.readme import PAGES, stale_reason, update_page
from pipestill.reporting.summary import SUMMARY, Summary
from pipestill.reporting.tables import TEXT_WIDTH, rich_table
from pipestill.reporting.walltimes import read_wall_times, wall_time_table

REPORTS = Path("reports")
LOCK = Path("dvc.lock")
RUNS = Path("runs")


def main(arguments: list[str] | None = None, console: Console | None = None) -> int:
    """Run one command from the repository root, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipestill.reporting", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="print the full table, the champion, and what each stage took")
    readme = commands.add_parser("readme", help="rewrite the result blocks of README.md and docs/results.md")
    readme.add_argument("--check", action="store_true", help="change nothing; exit 1 if a block is out of date")
    chosen = parser.parse_args(arguments)
    # a pipe does not have a width: it gets the whole table
    console = console or Console(width=None if sys.stdout.isatty() else TEXT_WIDTH)
    try:
        if chosen.command == "show":
            return _show(console)
        return _check(console) if chosen.check else _update(console)
    except PipestillError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return 1


def _show(console: Console) -> int:
    summary = read_record(REPORTS / SUMMARY, Summary)
    for line in summary.advice:
        console.print(line, markup=False, highlight=False)
    console.print(rich_table(summary, console.width), soft_wrap=True)
    console.print("\n".join([notes(summary), *summary.remarks]), markup=False, highlight=False)
    times = read_wall_times(RUNS, read_params(LOCK).get("stages", {})) if LOCK.exists() else []
    if times:
        console.print(wall_time_table(times))
    return 0


def _check(console: Console) -> int:
    reasons = [reason for page in PAGES if (reason := stale_reason(page, REPORTS, LOCK))]
    for reason in reasons:
        console.print(f"{reason}\n  next:     run `python -m pipestill.reporting readme`", style="red", markup=False)
    return 1 if reasons else 0


def _update(console: Console) -> int:
    for page in PAGES:
        changed = update_page(page, REPORTS, LOCK)
        console.print(f"{page.path} {'now shows the results' if changed else 'already shows the results'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
