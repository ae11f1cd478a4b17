"""Assemble the folder of the champion, or of the nearest candidate, with a card that holds the figures on test."""

from pathlib import Path

from pipestill.exporters.records import ExportRecord
from pipestill.metrics.records import EvaluateRecord
from pipestill.records import read_record
from pipestill.reporting.package import CARD, package_champion, package_nothing
from pipestill.reporting.summary import SUMMARY, Summary
from pipestill.tracking import run_main, stage_run

METRICS = Path("metrics")
TARGET = Path("models/champion")


def main() -> None:
    """Read the choice and the records of the model chosen, write its folder."""
    with stage_run({}) as run:
        summary = read_record(Path("reports") / SUMMARY, Summary)
        chosen = summary.packaged
        if chosen is None:
            package_nothing(TARGET, summary)
        else:
            export = read_record(METRICS / "export" / f"{chosen.model}.json", ExportRecord)
            evaluation = read_record(METRICS / "evaluate" / f"{chosen.model}.json", EvaluateRecord)
            package_champion(Path("models/onnx") / chosen.model, TARGET, export, evaluation, summary)
            run.log_model("champion" if summary.champion else "nearest", TARGET)
        run.log_artifact(TARGET / CARD)


if __name__ == "__main__":
    run_main(main)
