"""`python -m pipestill.registry`: register the report's champion, and make it champion if it passes the gate."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipestill.errors import PipestillError
from pipestill.redaction import print_error
from pipestill.registry.register import run_register
from pipestill.tracking.faults import store_errors
from pipestill.tracking.store import tracking_uri


def main(arguments: Sequence[str] | None = None) -> int:
    """Register and return the exit code: 1 where the gate or the store refused."""
    parser = argparse.ArgumentParser(prog="python -m pipestill.registry", description=__doc__)
    parser.add_argument("--challenger", action="store_true", help="register only; do not try the gate")
    try:
        with store_errors(tracking_uri(Path.cwd())):
            return run_register(Path.cwd(), promote=not parser.parse_args(arguments).challenger)
    except PipestillError as error:
        print_error(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
