"""The end of `make repro`: advice, the short table, the place of the champion, and the next steps."""

import sys
from pathlib import Path

from rich.console import Console

from pipestill.reporting.mark import in_words
from pipestill.reporting.summary import Summary
from pipestill.reporting.tables import short_rich_table
from pipestill.variants import INT8, variant_named

FOLDER = "models/champion"


def show_outcome(summary: Summary, console: Console) -> None:
    """Print advice, the short table, the champion's folder, remarks on the figures, and a line on each next step.

    Args:
        summary: summary of the run's report.
        console: terminal, at least `SHORT_WIDTH` columns wide.
    """
    for line in summary.advice:
        console.print(line, markup=False, highlight=False)
    console.print(short_rich_table(summary))
    for line in summary.remarks:
        console.print(line, markup=False, highlight=False)
    for line in (*place_lines(summary), "", *next_lines(summary, Path.cwd(), Path(sys.executable))):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def place_lines(summary: Summary) -> list[str]:
    """Name the model in models/champion; for the nearest candidate also the constraints that it misses."""
    packaged = summary.selection.packaged
    if summary.selection.champion is not None:
        return [f"Champion: {packaged}, in {FOLDER}."]
    if packaged is None:
        return [f"No champion: the pipeline has no candidate, and {FOLDER} holds no model."]
    return [
        "No champion: no student meets `report.constraints` in params.yaml.",
        f"The nearest, {packaged}, is in {FOLDER}.",
        f"It misses {in_words(summary.missed)}.",
    ]


def next_lines(summary: Summary, folder: Path, python: Path) -> list[str]:
    """List the next steps, a line each.

    Args:
        summary: summary of the run's report.
        folder: root of the repository, where the commands are typed.
        python: path of the interpreter, beside which `pipestill` lies.
    """
    steps = []
    if summary.packaged is not None:
        program = python.parent / "pipestill"
        shown = program.relative_to(folder) if program.is_relative_to(folder) else Path("pipestill")
        variant = variant_named(summary.packaged.variant)
        file = "" if variant == INT8 else f" --file {variant.file}"
        steps.append((f"echo 'a text' | {shown} predict {FOLDER}{file}", "classify a text"))
    steps += [
        ("make ui", "look at the runs in MLflow"),
        ("make table", "show every row and column"),
    ]
    # The long command is not padded: with its width the short ones would not fit a terminal.
    width = max(len(command) for command, _ in steps[-2:])
    return ["Next:", *(f"  {command:<{width}}  {purpose}" for command, purpose in steps)]
