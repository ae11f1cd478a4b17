"""Compare all cells of the ablation: table, figure, record."""

from pathlib import Path

from pipestill.ablation.params import Cell, Recipe
from pipestill.ablation.records import CellRecord, CellTimes
from pipestill.ablation.report import markdown_tables, write_report
from pipestill.ablation.table import MeasuredCell, build_table, headline, read_logits
from pipestill.benchmark.records import BenchmarkRecord
from pipestill.data.tables import DEV, TEST, read_columns
from pipestill.evaluation.params import EvaluateParams
from pipestill.params import load_section, parse_section, read_params
from pipestill.records import read_record
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/ablation/params.yaml")
METRICS, REPORTS = Path("metrics/ablation"), Path("reports/ablation")
TEACHER = Path("metrics/predictions/teacher.parquet")
BASELINE = Path("metrics/predictions/baseline.parquet")


def main() -> None:
    """Read params and records, write the report."""
    bootstrap = load_section("evaluate", EvaluateParams, PARAMS).bootstrap
    content = read_params(PARAMS)
    students = {name: settings["title"] for name, settings in content["students"].items()}
    recipes = {name: parse_section(content, f"recipes.{name}", Recipe) for name in content["recipes"]}
    cells = {name: parse_section(content, f"cells.{name}", Cell) for name in content["cells"]}
    with stage_run({"bootstrap": bootstrap.model_dump(), "cells": list(cells)}) as run:
        rows = {"dev": (DEV, read_columns(DEV)), "test": (TEST, read_columns(TEST))}
        measured = {}
        for name in cells:
            record = read_record(METRICS / "cells" / f"{name}.json", CellRecord)
            variants = [f"seed_{seed.seed}" for seed in record.seeds]
            logits = read_logits(METRICS / "logits" / f"{name}.parquet", rows["test"][1], variants)
            measured[name] = MeasuredCell(record, read_record(METRICS / "times" / f"{name}.json", CellTimes), logits)
        latency = read_record(METRICS / "latency.json", BenchmarkRecord)
        table = build_table(measured, students, recipes, cells, TEACHER, BASELINE, rows, latency, bootstrap)
        figures = write_report(table, REPORTS)
        for name in figures.drawn:
            run.log_artifact(REPORTS / f"{name}.png")
        for line in figures.remarks:
            print(line)
        run.log_text("ablation.md", markdown_tables(table, figures))
        run.log_metrics(headline(table))


if __name__ == "__main__":
    run_main(main)
