"""Advice that the report opens with: a model that was trained too briefly, or that a linear baseline beats.

Only the teacher and the packaged student are looked at. Dev still improved at the end of a training if the last epoch
is the best one and brought more than two standard errors of the dev accuracy, in accuracy or macro F1. The baseline
beats a model if its paired lead is more than chance on a split. A lead within chance is named if it is on both splits.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pipestill.evaluation.predictions import Predictions, join_logits, read_predictions
from pipestill.metrics.quality import predicted_ids
from pipestill.metrics.records import EvaluateRecord, Resampling, SplitQuality
from pipestill.metrics.uncertainty import Estimate, bootstrap, difference_of, macro_f1_of, mean_of
from pipestill.reporting.rows import BASELINE, TEACHER
from pipestill.training.records import EpochPoint, TrainingRecord

MEASURES = {"accuracy": "accuracy", "macro_f1": "macro F1"}
SPLITS = ("dev", "test")
CLEAR_STANDARD_ERRORS = 2.0
EPOCHS = {TEACHER: "finetune_teacher.training.epochs"}
"""Where a model's epochs stand in params.yaml; a student's below its own name."""


class Lead(NamedTuple):
    """How far the baseline is ahead of a model by one measure on one split; `difference` is baseline minus model."""

    measure: str
    split: str
    baseline: float
    model: float
    difference: Estimate

    def __str__(self) -> str:
        """The lead in words, with its interval."""
        lead = self.difference
        return (
            f"{MEASURES[self.measure]} on {self.split} {self.baseline:.3f} against {self.model:.3f}, a lead of "
            f"{lead.value:.3f} [{lead.lower:.3f}, {lead.upper:.3f}]"
        )


def advise(
    evaluations: Sequence[EvaluateRecord],
    trainings: Sequence[TrainingRecord],
    packaged: str | None,
    predictions: Path,
) -> tuple[str, ...]:
    """Say what to change in params.yaml before the figures are relied on: a line a model, none if all is well.

    Args:
        evaluations: of the baseline, the teacher and the students.
        trainings: of the teacher and the students.
        packaged: the champion or the nearest candidate, `<model>/<variant>`; None of none.
        predictions: the folder of every model's predictions.

    Raises:
        RecordError: predictions that are needed are missing, or of other rows.
    """
    records = {record.model: record for record in evaluations}
    curves = {record.model: record for record in trainings}
    lines = []
    for subject in (f"{TEACHER}/torch", *([packaged] if packaged else [])):
        model, variant = subject.split("/")
        if model not in records or model not in curves or variant not in records[model].variants:
            continue
        baseline = records.get(BASELINE)
        ahead = clear_leads(baseline, records[model], variant, predictions) if baseline else []
        gains = late_gains(curves[model], records[model].dev.num_rows)
        if ahead or gains:
            name = f"the {TEACHER}" if model == TEACHER else f"the student `{subject}`"
            lines.append(_line(name, ahead, gains, curves[model]))
    return tuple(lines)


def late_gains(record: TrainingRecord, num_dev_rows: int) -> list[str]:
    """Say by which measures dev clearly improved in the last epoch; none where an earlier epoch is the best."""
    if len(record.epochs) < 2 or record.best_epoch != record.epochs[-1].epoch:  # noqa: PLR2004 (one has no epoch before)
        return []
    before, last = list(pairwise(record.epochs))[-1]
    accuracy = last.dev_accuracy
    clear = CLEAR_STANDARD_ERRORS * math.sqrt(accuracy * (1 - accuracy) / num_dev_rows)
    return [
        f"{words} {_value(before, measure):.3f} to {_value(last, measure):.3f}"
        for measure, words in MEASURES.items()
        if _value(last, measure) - _value(before, measure) > clear
    ]


def clear_leads(baseline: EvaluateRecord, model: EvaluateRecord, variant: str, predictions: Path) -> list[Lead]:
    """List by which measures, on which splits, the baseline beats a file of a model.

    Args:
        baseline: the evaluation of the baseline.
        model: the evaluation of the model.
        variant: the file.
        predictions: the folder of both models' predictions; read only where the baseline is ahead at all.

    Raises:
        RecordError: predictions that are needed are missing, or of other rows.
    """
    (linear,) = baseline.variants
    found = []
    for split in SPLITS:
        ours: SplitQuality = getattr(model.variants[variant], split)
        theirs: SplitQuality = getattr(baseline.variants[linear], split)
        values = {measure: (getattr(theirs, measure).value, getattr(ours, measure).value) for measure in MEASURES}
        if any(first > second for first, second in values.values()):
            differences = _paired_differences(
                (read_predictions(predictions / f"{BASELINE}.parquet", split), linear),
                (read_predictions(predictions / f"{model.model}.parquet", split), variant),
                baseline.resampling,
            )
            found += [
                Lead(measure, split, *values[measure], difference)
                for measure, difference in differences.items()
                if difference is not None and difference.value > 0
            ]
    return [lead for lead in found if lead.difference.lower > 0 or _leads_everywhere(lead.measure, found)]


def _leads_everywhere(measure: str, leads: Sequence[Lead]) -> bool:
    return {lead.split for lead in leads if lead.measure == measure} == set(SPLITS)


def _paired_differences(
    baseline: tuple[Predictions, str], model: tuple[Predictions, str], resampling: Resampling
) -> Mapping[str, Estimate | None]:
    """Baseline minus model on the same rows, by measure."""
    rows, label_ids = baseline[0].content_ids, baseline[0].label_ids
    logits = [join_logits(held, variant, rows) for held, variant in (baseline, model)]
    first, second = map(predicted_ids, logits)
    num_labels = logits[0].shape[1]
    statistics = {
        "accuracy": difference_of(mean_of(first == label_ids), mean_of(second == label_ids)),
        "macro_f1": difference_of(
            macro_f1_of(first, label_ids, num_labels), macro_f1_of(second, label_ids, num_labels)
        ),
    }
    return bootstrap(
        statistics,
        len(rows),
        replicates=resampling.replicates,
        seed=resampling.seed,
        confidence=resampling.confidence,
    )


def _line(name: str, ahead: Sequence[Lead], gains: Sequence[str], record: TrainingRecord) -> str:
    """One model's finding and what to change."""
    found = []
    if ahead:
        found.append(f"the linear baseline {_verb(ahead)} {name} ({'; '.join(map(str, ahead))})")
    if gains:
        who = "it" if ahead else name
        found.append(f"{who} still improved on dev in its last epoch ({', '.join(gains)})")
    sentence = " and ".join(found)
    return f"{sentence[0].upper()}{sentence[1:]}: {_remedy(record)} in params.yaml."


def _verb(leads: Sequence[Lead]) -> str:
    """Say "beats" only where a lead is more than chance."""
    if any(lead.difference.lower > 0 for lead in leads):
        return "beats"
    return "is ahead, if within chance, of"


def _remedy(record: TrainingRecord) -> str:
    key = EPOCHS.get(record.model, f"students.{record.model}.training.epochs")
    used = record.epochs[-1].epoch
    if record.best_epoch == record.epochs[-1].epoch:
        return f"raise `{key}` (used: {used})"
    rate = key.replace("epochs", "learning_rate")
    base = " or choose another model under `fetch.base`" if record.model == TEACHER else " or add rows under `transfer`"
    return f"epoch {record.best_epoch} of {used} was the best, so more of them will not do; lower `{rate}`{base}"


def _value(point: EpochPoint, measure: str) -> float:
    value: float = getattr(point, f"dev_{measure}")
    return value
