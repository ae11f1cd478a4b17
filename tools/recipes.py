"""Copy the recipes of recipes/ into params.yaml, and write the pages about them.

python tools/recipes.py use [NAME[:SEED] ...]
    replace the students of params.yaml by all or the named recipes; NAME:19 is NAME_seed19, with that seed
python tools/recipes.py results [FILE]
    write docs/recipes/results.md from the last run: reports/, metrics/ and runs/
python tools/recipes.py page
    write docs/recipes/README.md from recipes/

Between `use` and `results`: `make deps` and `dvc repro`, in a clone, since the old students leave params.yaml.

A recipe is a file recipes/NAME.yaml with a `title`, a `text` about it, and the settings of a `student` that differ from
student_defaults of params.yaml; or with teachers, as sections of params.yaml. recipes/_page.yaml has their order.
"""

import argparse
import io
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from pipestill.errors import PipestillError
from pipestill.exporters.records import ExportRecord
from pipestill.records import read_record, write_bytes
from pipestill.redaction import print_error
from pipestill.reporting.notes import hardware
from pipestill.reporting.rows import BASELINE, TEACHER, ComparisonRow
from pipestill.reporting.summary import SUMMARY, Summary
from pipestill.reporting.tables import columns
from pipestill.reporting.walltimes import duration
from pipestill.tasks import TASKS, Task
from pipestill.tracking.run_record import RunRecord
from pipestill.training.records import TrainingRecord
from pipestill.transfer.build import TransferCard
from pipestill.variants import INT8, LINEAR, TORCH

RECIPES = Path("recipes")
ORDER = "_page.yaml"
"""The file in RECIPES with the opening and the sections of the page."""
PAGE = Path("docs/recipes/README.md")
RESULTS = PAGE.with_name("results.md")
PARAMS = Path("params.yaml")
STUDENT = "student"
TEACHERS = ("more_teachers", "ensembles")
KEYS = ("title", "text", STUDENT, *TEACHERS)
ENSEMBLES = "data/ensembles/"
SEED_MARK = "_seed"
BASELINE_LINEAR, TEACHER_TORCH = f"{BASELINE}/{LINEAR.name}", f"{TEACHER}/{TORCH.name}"
HEADINGS = (
    "recipe | student | losses | dev | test | agreement | retention | size | p50 ms | model ms | vs PyTorch | "
    "int8 share | trained in"
)
WIDTH = 118


class RecipeError(PipestillError):
    """A recipe does not exist, cannot be read, or has no results."""


class Recipe(NamedTuple):
    """One file of recipes/, as it stands there, comments included.

    Attributes:
        title: heading on the page.
        text: description below the heading, as Markdown.
        student: settings of the student, without those it shares with others; None in a recipe of teachers.
        teachers: sections of params.yaml with teachers; empty in a recipe of a student.
    """

    title: str
    text: str
    student: Any
    teachers: dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command from the repository's root, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    use = commands.add_parser("use", help="make recipes the students of params.yaml")
    use.add_argument("names", nargs="*", metavar="NAME[:SEED]", help="a recipe; all of them without one")
    write = commands.add_parser("results", help="write the results of the last run")
    write.add_argument("file", nargs="?", type=Path, default=RESULTS, help=f"{RESULTS} if none is named")
    commands.add_parser("page", help=f"write {PAGE}")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "use":
            use_recipes(chosen.names)
        elif chosen.command == "page":
            write_bytes(PAGE, page().encode())
            print(f"{PAGE} is up to date with {RECIPES}/")
        else:
            write_bytes(chosen.file, results().encode())
            print(f"{chosen.file} holds the results of the last run")
    except PipestillError as error:
        print_error(error)
        return 1
    return 0


def read_order() -> Any:  # noqa: ANN401 (what YAML holds)
    """Read the opening and the sections of the page, each with a title and the names of its recipes."""
    return _yaml().load((RECIPES / ORDER).read_text(encoding="utf-8"))


def read_recipes() -> dict[str, Recipe]:
    """Read the recipes by name, in the order of the page.

    Raises:
        RecipeError: files and page do not name the same recipes, or a file has unknown or missing keys.
    """
    names = [name for section in read_order()["sections"] for name in section["recipes"]]
    files = {path.stem for path in RECIPES.glob("*.yaml")} - {Path(ORDER).stem}
    if sorted(names) != sorted(files):
        raise RecipeError(
            f"{RECIPES / ORDER} does not name each recipe once",
            found=", ".join(names),
            expected=f"the files in {RECIPES}: {', '.join(sorted(files))}",
        )
    return {name: _read(RECIPES / f"{name}.yaml") for name in names}


def _read(path: Path) -> Recipe:
    content = _yaml().load(path.read_text(encoding="utf-8"))
    teachers = {key: content[key] for key in TEACHERS if key in content}
    if not {*content} <= {*KEYS} or "title" not in content or (STUDENT in content) == bool(teachers):
        raise RecipeError(
            f"{path} does not hold a recipe",
            found=", ".join(content),
            expected=f"title, text and either {STUDENT} or some of {', '.join(TEACHERS)}",
        )
    return Recipe(content["title"], content.get("text", ""), content.get(STUDENT), teachers)


def students_of(recipes: Mapping[str, Recipe]) -> dict[str, Any]:
    """Return the settings of each recipe of a student, by name."""
    return {name: recipe.student for name, recipe in recipes.items() if recipe.student is not None}


def page() -> str:
    """Write the page: every recipe under its title, with its text and its settings as they go into params.yaml."""
    order, recipes = read_order(), read_recipes()
    parts = ["# Recipes", order["intro"]]
    for section in order["sections"]:
        parts += [f"## {section['title']}", section.get("text", "")]
        for name in section["recipes"]:
            recipe = recipes[name]
            settings = recipe.teachers if recipe.student is None else {name: recipe.student}
            parts += [f"### {recipe.title}", recipe.text, f"```yaml\n{_dumped(settings)}```"]
    parts.append(f"<sub>Generated by `make recipes` from {RECIPES}/.</sub>")
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def seeded(recipes: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 (settings as they stand in the file)
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
    found = read_recipes()
    recipes = students_of(found)
    students = {name: seeded(recipes, name) for name in (name.replace(":", SEED_MARK) for name in names or recipes)}
    unknown = sorted(name for name, settings in students.items() if settings is None)
    if unknown:
        raise RecipeError(f"{RECIPES}/ has no such recipe", found=unknown, expected=f"some of {', '.join(recipes)}")
    params = _yaml().load(PARAMS.read_text(encoding="utf-8"))
    params["students"] = students
    if any(student["targets"].startswith(ENSEMBLES) for student in students.values()):
        for recipe in found.values():
            params.update(recipe.teachers)
    with PARAMS.open("w", encoding="utf-8") as file:
        _yaml().dump(params, file)
    print(f"the students of {PARAMS} are now {', '.join(students)}; next: make deps, dvc repro")


def results() -> str:
    """Write the page: a row for each student of the last run that is a recipe, its int8 figures, and the machine.

    Raises:
        RecipeError: the last run had no recipe among its students.
        RecordError: its records are missing.
    """
    recipes = students_of(read_recipes())
    summary = read_record(Path("reports") / SUMMARY, Summary)
    reached = {row.model: row for row in summary.rows if row.variant == INT8.name and seeded(recipes, row.model)}
    if not reached:
        raise RecipeError(
            "no student of the last run is a recipe",
            found=sorted({row.model for row in summary.rows} - {BASELINE, TEACHER}),
            next_step="run `python tools/recipes.py use`, `make deps` and `dvc repro`",
        )
    lines = [_row(name, seeded(recipes, name), row, TASKS[summary.task]) for name, row in reached.items()]
    accuracy = {row.subject: row.test.primary.value for row in summary.rows}
    titles = {BASELINE_LINEAR: "linear baseline", TEACHER_TORCH: "teacher"}
    yardsticks = [f"{title} {accuracy[subject]:.3f}" for subject, title in titles.items() if subject in accuracy]
    below = [name for name, row in reached.items() if row.test.primary.value < accuracy.get(BASELINE_LINEAR, 0.0)]
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


def _row(name: str, recipe: Mapping[str, Any], row: ComparisonRow, task: Task) -> str:
    export = read_record(Path(f"metrics/export/{name}.json"), ExportRecord)
    training = read_record(Path(f"metrics/training/{name}.json"), TrainingRecord)
    run = read_record(Path(f"runs/distill-{name}.json"), RunRecord)
    shown = {column.heading: column.show(row) for column in columns(task)}
    cells = (
        f"`{name}`",
        f"{recipe['architecture']['kind']}",
        ", ".join(term["loss"]["kind"] for term in recipe["objective"]),
        f"{row.dev.primary.value:.3f}",
        shown[task.primary.title],
        *(shown[heading] for heading in ("agreement", "retention", "size", "p50 ms", "model ms", "vs PyTorch")),
        f"{export.quantised_share.total_quantised_fraction:.0%}",
        f"{duration(run.wall_time_s)}, {training.num_rows:,} rows x {len(training.epochs)}",
    )
    return f"| {' | '.join(cells)} |\n"


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dumped(settings: Mapping[str, Any]) -> str:
    text = io.StringIO()
    _yaml().dump(dict(settings), text)
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
