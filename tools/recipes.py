"""Copy the recipes of docs/recipes into params.yaml, and write the page of their results.

python tools/recipes.py use [NAME[:SEED] ...]
    replace the students of params.yaml by all or the named recipes; NAME:19 is NAME_seed19, with that seed
python tools/recipes.py results [FILE]
    write docs/recipes/results.md from the last run: reports/, metrics/ and runs/

Between the two: `make deps` and `dvc repro`, in a clone, since the old students leave params.yaml.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from textwrap import fill
from typing import Any

from ruamel.yaml import YAML

from pipestill.errors import PipestillError
from pipestill.exporters.records import ExportRecord
from pipestill.records import read_record, write_bytes
from pipestill.reporting.notes import hardware
from pipestill.reporting.rows import BASELINE, TEACHER, ComparisonRow
from pipestill.reporting.summary import SUMMARY, Summary
from pipestill.reporting.tables import COLUMNS
from pipestill.reporting.walltimes import duration
from pipestill.tracking.run_record import RunRecord
from pipestill.training.records import TrainingRecord
from pipestill.transfer.build import TransferCard
from pipestill.variants import INT8, LINEAR, TORCH

RECIPES = Path("docs/recipes/README.md")
RESULTS = RECIPES.with_name("results.md")
PARAMS = Path("params.yaml")
TEACHERS = ("more_teachers", "committees")
COMMITTEES = "data/committees/"
SEED_MARK = "_seed"
BASELINE_LINEAR, TEACHER_TORCH = f"{BASELINE}/{LINEAR.name}", f"{TEACHER}/{TORCH.name}"
HEADINGS = (
    "recipe | student | losses | dev | test | agreement | retention | size | p50 ms | model ms | vs PyTorch | "
    "int8 share | trained in"
)
WIDTH = 118


class RecipeError(PipestillError):
    """A recipe does not exist, or has no results."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command from the repository's root, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    use = commands.add_parser("use", help="make recipes the students of params.yaml")
    use.add_argument("names", nargs="*", metavar="NAME[:SEED]", help="a recipe; all of them without one")
    write = commands.add_parser("results", help="write the results of the last run")
    write.add_argument("file", nargs="?", type=Path, default=RESULTS, help=f"{RESULTS} if none is named")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "use":
            use_recipes(chosen.names)
        else:
            write_bytes(chosen.file, results().encode())
            print(f"{chosen.file} holds the results of the last run")
    except PipestillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def read_recipes(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the document's blocks of YAML.

    Returns:
        The students, each with its settings, by name in the order of the document; and the sections with the teachers
        of those that learn from an ensemble.
    """
    students: dict[str, Any] = {}
    teachers: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL):
        for name, settings in _yaml().load(block).items():
            (teachers if name in TEACHERS else students)[name] = settings
    return students, teachers


def seeded(recipes: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 (settings as they stand in the document)
    """Return the settings of a student that is named after a recipe, `NAME` or `NAME_seed19`, or None."""
    if name in recipes:
        return recipes[name]
    recipe, mark, seed = name.rpartition(SEED_MARK)
    if not (mark and recipe in recipes and seed.isdecimal()):
        return None
    settings = deepcopy(recipes[recipe])  # a copy, since YAML would write two references to one list with an alias
    settings["seed"] = int(seed)
    return settings


def use_recipes(names: Sequence[str]) -> None:
    """Replace the students of params.yaml by recipes, with the ensembles they need; all else stays.

    Args:
        names: names of recipes, each with an optional seed after a colon; all recipes if empty.

    Raises:
        RecipeError: a recipe does not exist, or a seed is not a number.
    """
    recipes, teachers = read_recipes(RECIPES.read_text(encoding="utf-8"))
    students = {name: seeded(recipes, name) for name in (name.replace(":", SEED_MARK) for name in names or recipes)}
    unknown = sorted(name for name, settings in students.items() if settings is None)
    if unknown:
        raise RecipeError(f"{RECIPES} has no such recipe", found=unknown, expected=f"some of {', '.join(recipes)}")
    params = _yaml().load(PARAMS.read_text(encoding="utf-8"))
    params["students"] = students
    if any(student["targets"].startswith(COMMITTEES) for student in students.values()):
        params.update(teachers)
    with PARAMS.open("w", encoding="utf-8") as file:
        _yaml().dump(params, file)
    print(f"the students of {PARAMS} are now {', '.join(students)}; next: make deps, dvc repro")


def results() -> str:
    """Write the page: a row for each student of the last run that is a recipe, its int8 figures, and the machine.

    Raises:
        RecipeError: the last run had no recipe among its students.
        RecordError: its records are missing.
    """
    recipes, _ = read_recipes(RECIPES.read_text(encoding="utf-8"))
    summary = read_record(Path("reports") / SUMMARY, Summary)
    reached = {row.model: row for row in summary.rows if row.variant == INT8.name and seeded(recipes, row.model)}
    if not reached:
        raise RecipeError(
            "no student of the last run is a recipe",
            found=sorted({row.model for row in summary.rows} - {BASELINE, TEACHER}),
            next_step="run `python tools/recipes.py use`, `make deps` and `dvc repro`",
        )
    lines = [_row(name, seeded(recipes, name), row) for name, row in reached.items()]
    accuracy = {row.subject: row.test.accuracy.value for row in summary.rows}
    titles = {BASELINE_LINEAR: "linear baseline", TEACHER_TORCH: "teacher"}
    yardsticks = [f"{title} {accuracy[subject]:.3f}" for subject, title in titles.items() if subject in accuracy]
    below = [name for name, row in reached.items() if row.test.accuracy.value < accuracy.get(BASELINE_LINEAR, 0.0)]
    card = read_record(Path("data/transfer/card.json"), TransferCard)
    said = (
        f"Of each recipe's int8 file: accuracy on dev ({summary.num_dev_rows:,} rows) and test "
        f"({summary.num_test_rows:,} rows; {', '.join(yardsticks)}), with {summary.confidence:.0%} paired-bootstrap "
        "intervals; retention of the PyTorch teacher's accuracy on test. `data/transfer` had "
        f"{card.num_rows:,} rows. `trained in` is the wall time of the stage `distill`. Every file has passed parity "
        "and the gates of `export`. `int8 share` is of all bytes of weights: weights without an int8 operator, such as "
        "a GRU's, stay float, and metrics/export names them. Another seed can change a figure by up to a point."
    )
    if below:
        said += f" Below the linear baseline: {', '.join(f'`{name}`' for name in below)}."
    head = f"| {HEADINGS} |\n|{'---|' * len(HEADINGS.split('|'))}\n"
    timed = (
        "Latency of one row on one thread, from text to logits, and `model ms` without tokenisation; every file in "
        f"turns, on {hardware(summary)}."
    )
    generated = "<sub>Generated by `python tools/recipes.py results`.</sub>"
    title, table = "# Results of the recipes", head + "".join(lines).rstrip()
    return "\n\n".join((title, fill(said, WIDTH), table, fill(timed, WIDTH), generated)) + "\n"


def _row(name: str, recipe: Mapping[str, Any], row: ComparisonRow) -> str:
    export = read_record(Path(f"metrics/export/{name}.json"), ExportRecord)
    training = read_record(Path(f"metrics/training/{name}.json"), TrainingRecord)
    run = read_record(Path(f"runs/distill-{name}.json"), RunRecord)
    shown = {column.heading: column.show(row) for column in COLUMNS}
    cells = (
        f"`{name}`",
        f"{recipe['architecture']['kind']}",
        ", ".join(term["loss"]["kind"] for term in recipe["objective"]),
        f"{row.dev.accuracy.value:.3f}",
        shown["accuracy"],
        *(shown[heading] for heading in ("agreement", "retention", "size", "p50 ms", "model ms", "vs PyTorch")),
        f"{export.quantised_share.total_quantised_fraction:.0%}",
        f"{duration(run.wall_time_s)}, {training.num_rows:,} rows x {len(training.epochs)}",
    )
    return f"| {' | '.join(cells)} |\n"


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 120
    return yaml


if __name__ == "__main__":
    sys.exit(main())
