"""`python -m pipestill.code`: name the stages whose code changed since `check` ran, and the modules."""

import argparse
import sys
from pathlib import Path

from pipestill.code.lists import short
from pipestill.code.stale import stale_stages

MAIN = Path("dvc.yaml")


def main() -> int:
    """Print a line for each stage with changed code; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipestill.code", description=__doc__.split(": ", 1)[1])
    parser.add_argument("pipeline", nargs="*", type=Path, help="a dvc.yaml; all pipelines if none is named")
    pipelines = parser.parse_args().pipeline or [MAIN, *sorted(Path("pipelines").glob("*/dvc.yaml"))]
    found = {stage: files for pipeline in pipelines for stage, files in stale_stages(pipeline).items()}
    for stage, files in found.items():
        print(f"{stage}: code: {', '.join(map(short, files))}")
    if not found:
        print("no stage's code changed since its code list was written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
