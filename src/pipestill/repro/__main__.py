"""Run the pipeline by `dvc repro` and show its progress; then the table, the champion and the next steps.

python -m pipestill.repro    from the repository root; `make repro` calls it
"""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from pipestill.errors import PipestillError, RecordError
from pipestill.records import read_record
from pipestill.redaction import print_error
from pipestill.reporting.summary import SUMMARY, Summary
from pipestill.reporting.tables import SHORT_WIDTH
from pipestill.reporting.walltimes import read_wall_times
from pipestill.repro.child import started
from pipestill.repro.closing import show_outcome
from pipestill.repro.progress import Progress
from pipestill.repro.tracker import tracking_process
from pipestill.tracking.folders import check_folders
from pipestill.tracking.lock import stage_names
from pipestill.tracking.process import end_by_exception

REPRO = (sys.executable, "-m", "dvc", "repro")
SYNC = (sys.executable, "-m", "pipestill.tracking", "sync")
RUNS = Path("runs")
REPORTS = Path("reports")
INTERRUPTED = 130


def main(repro: Sequence[str] = REPRO, sync: Sequence[str] = SYNC) -> int:
    """Run the pipeline, show its outcome, and return the exit code of `dvc repro`.

    Args:
        repro: command that prints the lines of `dvc repro`.
        sync: command that syncs MLflow where no tracking process does; its exit code is ignored, since tracking never
            fails a run.
    """
    end_by_exception()
    try:
        check_folders()
        with tracking_process() as tracker:
            code = watch(repro, tracker.environment)
            if code == 0 and not tracker.sync():
                subprocess.run(sync, check=False)  # noqa: S603 (our own command)
    except KeyboardInterrupt:
        print("interrupted: `make repro` resumes where this one stopped", flush=True)
        return INTERRUPTED
    except RecordError as error:
        return _failed(error)
    if code != 0:
        return code
    try:
        summary = read_record(REPORTS / SUMMARY, Summary)
    except PipestillError as error:
        return _failed(error)
    show_outcome(summary, Console(width=None if sys.stdout.isatty() else SHORT_WIDTH))
    return 0


def _failed(error: PipestillError) -> int:
    print_error(error)
    return 1


def watch(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `dvc repro`, print its lines with its stages numbered and timed, and return its exit code.

    Args:
        command: command that prints the lines of `dvc repro`.
        environment: environment variables for its stages.
    """
    start_s = time.monotonic()
    with started(command, environment) as child:
        stages = stage_names()  # while DVC starts
        times = {last.stage: last.seconds for last in read_wall_times(RUNS, stages)}
        progress = Progress(stages, times)
        assert child.stdout is not None, "the child has a pipe"
        for line in child.stdout:
            _print(progress.advance(line.rstrip("\n"), time.monotonic() - start_s))
        code = child.wait()
        _print(progress.end(code, time.monotonic() - start_s))
    return code


def _print(lines: list[str]) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
