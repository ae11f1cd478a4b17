"""`python -m pipestill.tracking`: `sync` the store with dvc.lock, open the `ui`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import PipestillError
from pipestill.redaction import print_error
from pipestill.tracking.faults import store_errors
from pipestill.tracking.store import tracking_uri
from pipestill.tracking.sync import run_sync
from pipestill.tracking.ui import run_ui


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipestill.tracking", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sync", help="link, complete or replay every stage's run, and end the runs of dead processes")
    ui = commands.add_parser("ui", help="open MLflow on this repository's runs")
    ui.add_argument("--port", type=int, default=5000)
    chosen = parser.parse_args(arguments)
    try:
        with store_errors(tracking_uri(Path.cwd())):
            if chosen.command == "ui":
                return run_ui(Path.cwd(), chosen.port)
            run_sync(Path.cwd())
    except PipestillError as error:
        print_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
