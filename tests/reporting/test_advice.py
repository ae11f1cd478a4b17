"""The report's first lines: a model that was trained too briefly, or that the linear baseline beats."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from invented_records import ENVIRONMENT, EVALUATE, REPORT
from markdown_it import MarkdownIt

from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter, read_columns
from pipestill.errors import RecordError
from pipestill.evaluation.build import build_evaluation
from pipestill.evaluation.predictions import write_predictions
from pipestill.evaluation.scored import ScoredVariant
from pipestill.fingerprint import content_id
from pipestill.metrics.records import EvaluateRecord
from pipestill.metrics.uncertainty import Estimate
from pipestill.reporting.advice import Lead, advise, clear_leads, late_gains
from pipestill.reporting.report import make_report, write_report
from pipestill.tasks import CLASSES
from pipestill.tasks.classes import ACCURACY, MACRO_F1
from pipestill.tasks.targets import LabelSet
from pipestill.training.records import TrainingRecord

NUM_ROWS = 400
Right = tuple[slice, slice]
"""The rows that a model has right, in dev and in test."""


def training(model: str, *dev: float, best: int | None = None, macro_f1: tuple[float, ...] = ()) -> TrainingRecord:
    """A training with some accuracy on dev after each epoch; the last one is the best if none is named."""
    epochs = [
        {
            "epoch": number,
            "step": number,
            "train_loss": 0.5,
            "dev": {"accuracy": accuracy, "macro_f1": macro_f1[number - 1] if macro_f1 else accuracy, "nll_nats": 0.4},
        }
        for number, accuracy in enumerate(dev, start=1)
    ]
    sizes = {"num_rows": 1, "num_parameters": 1, "num_trained_parameters": 1}
    return TrainingRecord.model_validate(
        {"model": model, "selection_metric": "accuracy", "best_epoch": best or len(dev), "epochs": epochs}
        | {"steps": [{"step": 1, "loss": 1.0, "learning_rate": 1e-4}], "choices": []}
        | sizes
    )


def evaluated(folder: Path, **right: Right) -> list[EvaluateRecord]:
    """Evaluations of models of two labels, which have some rows right."""
    splits = {}
    for split in ("dev", "test"):
        texts = [f"{split} {row}" for row in range(NUM_ROWS)]
        rows = [{"content_id": content_id(text), "text": text, "label_id": row % 2} for row, text in enumerate(texts)]
        splits[split] = folder / f"{split}.parquet"
        with TableWriter(splits[split], LABELLED) as writer:
            writer.write(sorted(rows, key=lambda row: str(row["content_id"])))
    records = []
    for model in sorted(right, key=lambda name: name != "teacher"):
        variant = {"baseline": "linear", "teacher": "torch"}.get(model, "onnx_int8")
        logits = {split: _logits(path, rows) for (split, path), rows in zip(splits.items(), right[model], strict=True)}
        scored = {variant: ScoredVariant({f"{variant}.bin": content_id(model + variant)}, 1, 1, logits, None)}
        teacher = None if model == "teacher" else folder / "teacher.parquet"
        evaluation = build_evaluation(model, scored, splits, LabelSet(labels=("no", "yes")), EVALUATE, teacher)
        write_predictions(folder / f"{model}.parquet", evaluation.predictions)
        records.append(evaluation.record)
    return records


def _logits(path: Path, right: slice) -> npt.NDArray[np.float32]:
    label_ids = read_columns(path).label_ids
    predicted = 1 - label_ids
    predicted[right] = label_ids[right]
    return np.eye(2, dtype=np.float32)[predicted]


def first(share: float) -> slice:
    return slice(0, int(share * NUM_ROWS))


def test_a_teacher_that_still_improved_is_named_with_the_epochs_to_raise(tmp_path: Path) -> None:
    records = evaluated(tmp_path, teacher=(first(0.8), first(0.8)), baseline=(first(0.5), first(0.5)))
    (line,) = advise(records, [training("teacher", 0.6, 0.7, 0.8)], None, tmp_path)
    assert line == (
        "The teacher still improved on dev in its last epoch (accuracy 0.700 to 0.800, macro F1 0.700 to 0.800): "
        "raise `finetune_teacher.training.epochs` (used: 3) in params.yaml."
    )


@pytest.mark.parametrize(
    ("record", "num_dev_rows", "measures"),
    [
        (training("teacher", 0.70, 0.80), 400, ["accuracy", "macro F1"]),
        (training("teacher", 0.70, 0.80), 60, []),  # 6 of 60 rows: chance
        (training("teacher", 0.79, 0.80), 400, []),
        (training("teacher", 0.80, 0.80, macro_f1=(0.3, 0.4)), 400, ["macro F1"]),
        (training("teacher", 0.70, 0.80, 0.79, best=2), 400, []),
        (training("teacher", 0.80), 400, []),  # there is no epoch before it
        (training("teacher", 0.50, 1.00), 400, ["accuracy", "macro F1"]),
    ],
)
def test_an_improvement_counts_in_the_last_epoch_beyond_chance(
    record: TrainingRecord, num_dev_rows: int, measures: list[str]
) -> None:
    assert [gain.split(" 0")[0] for gain in late_gains(CLASSES, record, num_dev_rows)] == measures


def test_a_teacher_that_the_baseline_beats_is_named_with_the_lead(tmp_path: Path) -> None:
    records = evaluated(tmp_path, teacher=(first(0.7), first(0.6)), baseline=(first(0.7), first(0.7)))
    (line,) = advise(records, [training("teacher", 0.69, 0.7)], None, tmp_path)
    assert line.startswith(
        "The linear baseline beats the teacher (accuracy on test 0.700 against 0.600, a lead of 0.100 [0."
    )
    assert "; macro F1 on test 0.700 against 0.59" in line
    assert "dev" not in line
    assert line.endswith("): raise `finetune_teacher.training.epochs` (used: 2) in params.yaml.")


def test_both_findings_make_one_line(tmp_path: Path) -> None:
    records = evaluated(tmp_path, teacher=(first(0.6), first(0.6)), baseline=(first(0.7), first(0.7)))
    (line,) = advise(records, [training("teacher", 0.4, 0.6)], None, tmp_path)
    assert line.startswith("The linear baseline beats the teacher (accuracy on dev")
    assert " and it still improved on dev in its last epoch (accuracy 0.400 to 0.600" in line


def test_more_epochs_are_no_advice_where_an_earlier_one_was_the_best(tmp_path: Path) -> None:
    records = evaluated(tmp_path, teacher=(first(0.6), first(0.6)), baseline=(first(0.7), first(0.7)))
    (line,) = advise(records, [training("teacher", 0.6, 0.5, 0.5, best=1)], None, tmp_path)
    assert line.endswith(
        ": epoch 1 of 3 was the best, so more epochs do not help; lower `finetune_teacher.training.learning_rate` or "
        "choose another model under `fetch.base` in params.yaml."
    )


@pytest.mark.parametrize(("num_right_on_test", "num_leads"), [(280, 0), (284, 2)])
def test_a_lead_within_chance_is_named_where_it_is_on_both_splits_and_not_called_a_win(
    tmp_path: Path, num_right_on_test: int, num_leads: int
) -> None:
    baseline_right = (slice(100, 384), slice(100, 100 + num_right_on_test))  # 4 rows more on dev, of other rows
    records = evaluated(tmp_path, teacher=(slice(0, 280), slice(0, 280)), baseline=baseline_right)
    teacher, baseline = records
    leads = [lead for lead in clear_leads(baseline, teacher, "torch", tmp_path) if lead.measure == ACCURACY]
    assert len(leads) == num_leads
    assert all(lead.difference.lower < 0 for lead in leads)
    for line in advise(records, [training("teacher", 0.7)], None, tmp_path):
        assert line.startswith("The linear baseline is ahead, if within chance, of the teacher (accuracy on dev")


def test_a_baseline_that_is_behind_costs_no_reading(tmp_path: Path) -> None:
    teacher, baseline = evaluated(tmp_path, teacher=(first(0.7), first(0.7)), baseline=(first(0.6), first(0.6)))
    assert clear_leads(baseline, teacher, "torch", tmp_path / "nowhere") == []


def test_predictions_that_are_needed_and_missing_are_refused(tmp_path: Path) -> None:
    teacher, baseline = evaluated(tmp_path, teacher=(first(0.6), first(0.6)), baseline=(first(0.7), first(0.7)))
    with pytest.raises(RecordError, match="cannot be read"):
        clear_leads(baseline, teacher, "torch", tmp_path / "nowhere")


def test_the_packaged_student_is_looked_at_and_no_other(tmp_path: Path) -> None:
    records = evaluated(
        tmp_path,
        teacher=(first(0.9), first(0.9)),
        baseline=(first(0.7), first(0.7)),
        small=(first(0.6), first(0.6)),
        other=(first(0.5), first(0.5)),
    )
    trainings = [training("teacher", 0.9), training("small", 0.6), training("other", 0.3, 0.5)]
    (line,) = advise(records, trainings, "small/onnx_int8", tmp_path)
    assert line.startswith(
        "The linear baseline beats the student `small/onnx_int8` (accuracy on dev 0.700 against 0.600"
    )
    assert line.endswith("raise `students.small.training.epochs` (used: 1) in params.yaml.")


def test_a_lead_is_written_with_its_interval() -> None:
    lead = Lead(MACRO_F1, "test", 0.7121, 0.698, Estimate(value=0.0141, lower=0.002, upper=0.026))
    assert str(lead) == "macro F1 on test 0.712 against 0.698, a lead of 0.014 [0.002, 0.026]"


def test_the_advice_is_the_report_s_first_line_everywhere(tmp_path: Path) -> None:
    records = evaluated(
        tmp_path,
        teacher=(first(0.6), first(0.6)),
        baseline=(first(0.7), first(0.7)),
        small=(first(0.6), first(0.6)),
    )
    trainings = [training("teacher", 0.4, 0.6), training("small", 0.6)]
    report = make_report(records, trainings, {}, ENVIRONMENT, REPORT, tmp_path)
    write_report(report, tmp_path / "reports")
    advice = report.summary.advice
    assert [line.split(" (")[0] for line in advice] == [
        "The linear baseline beats the teacher",
        "The linear baseline beats the student `small/onnx_int8`",
    ]
    for name in ("table.txt", "table.md"):
        text = (tmp_path / "reports" / name).read_text(encoding="utf-8")
        assert text.startswith(f"{advice[0]}\n\n{advice[1]}\n\nNo champion")
    paragraphs = MarkdownIt("commonmark").parse((tmp_path / "reports/table.md").read_text(encoding="utf-8"))
    assert [token.type for token in paragraphs[:4]] == ["paragraph_open", "inline", "paragraph_close", "paragraph_open"]
