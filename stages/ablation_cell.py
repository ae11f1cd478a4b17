"""Train one student with one recipe, once for each seed; export the first."""

import argparse
from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.ablation.cell import CellInputs, run_cell
from pipestill.ablation.params import Cell, Recipe, Repeats, StudentSettings
from pipestill.ablation.records import CellTimes
from pipestill.ablation.run_metrics import headline, log_seed
from pipestill.data.card import DataCard
from pipestill.data.tables import CARD, DEV, LABELS, TEST, read_columns
from pipestill.environment import read_environment
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.predictions import write_predictions
from pipestill.exporters.artifact import describe_model
from pipestill.exporters.params import ExportParams
from pipestill.params import load_section
from pipestill.records import read_record, write_json
from pipestill.student_files import settings_file
from pipestill.tasks.targets import read_labels
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/ablation/params.yaml")
DATA, MODELS, METRICS = Path("data/ablation"), Path("models/ablation"), Path("metrics/ablation")


def main() -> None:
    """Read params, train, write the cell's figures, times, logits and int8 file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", help="a key of `cells` in pipelines/ablation/params.yaml")
    name: str = parser.parse_args().cell
    cell = load_section(f"cells.{name}", Cell, PARAMS)
    student = read_record(settings_file(cell.student, DATA / "students"), StudentSettings)
    recipe = load_section(f"recipes.{cell.recipe}", Recipe, PARAMS)
    seeds = load_section("repeats", Repeats, PARAMS).seeds
    export, evaluate = load_section("export", ExportParams, PARAMS), load_section("evaluate", EvaluateParams, PARAMS)
    plain = {"student": student.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json")}
    settings = {**plain, "seeds": list(seeds)}
    with stage_run(settings) as run:
        splits = {"dev": read_columns(DEV), "test": read_columns(TEST)}
        finished = run_cell(
            (cell.student, cell.recipe), student, recipe, seeds,
            CellInputs(read_labels(LABELS), splits),
            export, evaluate, lambda seed: log_seed(run, seed),
            lambda classifier: describe_model(classifier, read_record(CARD, DataCard), settings, splits["dev"].texts),
            (run.scratch, MODELS / name),
        )  # fmt: skip
        write_json(METRICS / "cells" / f"{name}.json", finished.record)
        times = CellTimes(train_wall_time_s=finished.train_wall_time_s, environment=read_environment())
        write_json(METRICS / "times" / f"{name}.json", times)
        write_predictions(METRICS / "logits" / f"{name}.parquet", finished.predictions)
        run.log_choices(finished.choices)
        run.log_metrics(headline(finished.record, times))
        run.log_model(name, MODELS / name)


if __name__ == "__main__":
    run_main(main)
