"""Fit the linear baseline on the train rows and score it on the dev and test rows."""

from pathlib import Path

from pipestill.baseline.linear import fit_and_score
from pipestill.baseline.params import BaselineParams
from pipestill.data.tables import DEV, LABELS, TEST, TRAIN, read_columns
from pipestill.evaluation.build import build_evaluation, headline
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.predictions import write_predictions
from pipestill.evaluation.scored import ScoredVariant
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.tasks.targets import read_labels
from pipestill.tracking import run_main, stage_run
from pipestill.variants import LINEAR

SPLITS = {"dev": DEV, "test": TEST}
PREDICTIONS = Path("metrics/predictions")


def main() -> None:
    """Read params, fit, score, write the record and the logits."""
    params = load_section("baseline", BaselineParams)
    evaluate: EvaluateParams = load_section("evaluate", EvaluateParams)
    with stage_run({"baseline": params.model_dump(), "evaluate": evaluate.model_dump()}) as run:
        labels = read_labels(LABELS)
        train, dev, test = (read_columns(path) for path in (TRAIN, DEV, TEST))
        scores = fit_and_score((train.texts, train.label_ids), (dev.texts, dev.label_ids), test.texts, labels, params)
        scored = ScoredVariant({}, scores.size_bytes, batch_size=1, logits=scores.logits, batching=None)
        evaluation = build_evaluation(
            "baseline", {LINEAR.name: scored}, SPLITS, labels, evaluate, PREDICTIONS / "teacher.parquet"
        )
        write_json(Path("metrics/evaluate/baseline.json"), evaluation.record)
        write_predictions(PREDICTIONS / "baseline.parquet", evaluation.predictions)
        run.log_dataset("train", TRAIN, "training")
        run.log_dataset("test", TEST, "evaluation")
        chosen = {"inverse_regularisation": scores.inverse_regularisation, "num_features": float(scores.num_features)}
        run.log_metrics(headline(evaluation.record) | chosen)


if __name__ == "__main__":
    run_main(main)
