"""Score one model (teacher or a student) in all its variants on the dev and test rows."""

import argparse
from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.tables import DEV, LABELS, TEST
from pipestill.evaluation.build import build_evaluation, headline
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.predictions import write_predictions
from pipestill.evaluation.scoring import score_variants
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.tasks.targets import read_labels
from pipestill.tracking import run_main, stage_run

SPLITS = {"dev": DEV, "test": TEST}
PREDICTIONS = Path("metrics/predictions")


def main() -> None:
    """Read params, score, write the record and the logits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="`teacher`, or the name of a student in params.yaml")
    name: str = parser.parse_args().model
    is_teacher = name == "teacher"
    params = load_section("evaluate", EvaluateParams)
    with stage_run(params) as run:
        labels = read_labels(LABELS)
        model_folder = Path("models/teacher") if is_teacher else Path("models/students") / name
        scored = score_variants(model_folder, Path("models/onnx") / name, SPLITS, labels, params)
        teacher_predictions = None if is_teacher else PREDICTIONS / "teacher.parquet"
        evaluation = build_evaluation(name, scored, SPLITS, labels, params, teacher_predictions)
        write_json(Path("metrics/evaluate") / f"{name}.json", evaluation.record)
        write_predictions(PREDICTIONS / f"{name}.parquet", evaluation.predictions)
        run.log_dataset("dev", DEV, "selection")
        run.log_dataset("test", TEST, "evaluation")
        run.log_metrics(headline(evaluation.record))


if __name__ == "__main__":
    run_main(main)
