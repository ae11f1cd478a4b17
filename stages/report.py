"""Compare all models: table, figures, summary, and the champion under the declared constraints."""

from pathlib import Path

from pipestill.metrics.records import EvaluateRecord
from pipestill.params import load_section, read_params
from pipestill.records import read_record
from pipestill.reporting.params import ReportParams
from pipestill.reporting.report import headline, make_report, write_report
from pipestill.reporting.rows import BASELINE, TEACHER
from pipestill.reporting.speeds import read_speeds
from pipestill.reporting.tables import text_table
from pipestill.tracking import run_main, stage_run
from pipestill.training.records import TrainingRecord

METRICS = Path("metrics")
REPORTS = Path("reports")


def main() -> None:
    """Read params and records, write the report."""
    params = load_section("report", ReportParams)
    students = list(read_params().get("students", {}))
    with stage_run(params) as run:
        evaluations = [
            read_record(METRICS / "evaluate" / f"{name}.json", EvaluateRecord)
            for name in (BASELINE, TEACHER, *students)
        ]
        trainings = [
            read_record(METRICS / "training" / f"{name}.json", TrainingRecord) for name in (TEACHER, *students)
        ]
        speeds, environment = read_speeds(METRICS / "benchmark.json")
        report = make_report(evaluations, trainings, speeds, environment, params, METRICS / "predictions")
        write_report(report, REPORTS)
        for name in report.figures.drawn:
            run.log_artifact(REPORTS / f"{name}.png")
        for line in (*report.summary.advice, *report.summary.remarks):
            print(line)
        run.log_text("table.txt", text_table(report.summary))
        run.log_metrics(headline(report.summary))


if __name__ == "__main__":
    run_main(main)
