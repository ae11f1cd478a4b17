"""Advice that the report opens with: a model that was trained too briefly, or that a linear baseline beats.

Only the teacher and the packaged student are checked. A training was too brief if its last epoch is the best one and
gained more than two standard errors of the primary measure on dev, by one of the headline measures. The baseline beats
a model if its paired lead is significant on a split. An insignificant lead is named if it occurs on both splits.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pipestill.evaluation.predictions import Predictions, join_logits, read_predictions
from pipestill.metrics.measures import statistics
from pipestill.metrics.records import EvaluateRecord, Resampling, SplitQuality
from pipestill.metrics.uncertainty import Estimate, bootstrap, difference_of
from pipestill.reporting.rows import BASELINE, TEACHER
from pipestill.tasks import TASKS, Measure, Task
from pipestill.training.records import TrainingRecord
from pipestill.variants import TORCH

SPLITS = ("dev", "test")
CLEAR_STANDARD_ERRORS = 2.0
EPOCHS = {TEACHER: "finetune_teacher.training.epochs"}
"""Keys of a model's epochs in params.yaml; a student's lies below its own name."""


class Lead(NamedTuple):
    """The baseline's lead over a model by one measure on one split; `difference` is baseline minus model."""

    measure: Measure
    split: str
    baseline: float
    model: float
    difference: Estimate

    def __str__(self) -> str:
        """Format the lead with its interval."""
        lead = self.difference
        return (
            f"{self.measure.title} on {self.split} {self.baseline:.3f} against {self.model:.3f}, a lead of "
            f"{lead.value:.3f} [{lead.lower:.3f}, {lead.upper:.3f}]"
        )


def advise(
    evaluations: Sequence[EvaluateRecord],
    trainings: Sequence[TrainingRecord],
    packaged: str | None,
    predictions: Path,
) -> tuple[str, ...]:
    """List changes to make in params.yaml before relying on the figures: a line per model, empty if nothing is wrong.

    Args:
        evaluations: evaluations of the baseline, the teacher and the students.
        trainings: training records of the teacher and the students.
        packaged: the champion or the nearest candidate, `<model>/<variant>`; None without candidates.
        predictions: folder of every model's predictions.

    Raises:
        RecordError: predictions that are needed are missing, or of other rows.
    """
    records = {record.model: record for record in evaluations}
    curves = {record.model: record for record in trainings}
    lines = []
    for subject in (f"{TEACHER}/{TORCH.name}", *([packaged] if packaged else [])):
        model, variant = subject.split("/")
        if model not in records or model not in curves or variant not in records[model].variants:
            continue
        baseline = records.get(BASELINE)
        ahead = clear_leads(baseline, records[model], variant, predictions) if baseline else []
        gains = late_gains(TASKS[records[model].task], curves[model], records[model].dev.num_rows)
        if ahead or gains:
            name = f"the {TEACHER}" if model == TEACHER else f"the student `{subject}`"
            lines.append(_line(name, ahead, gains, curves[model]))
    return tuple(lines)


def late_gains(task: Task, record: TrainingRecord, num_dev_rows: int) -> list[str]:
    """List the measures by which dev clearly improved in the last epoch; empty where an earlier epoch is the best."""
    if len(record.epochs) < 2 or record.best_epoch != record.epochs[-1].epoch:  # noqa: PLR2004 (one has no epoch before)
        return []
    before, last = list(pairwise(record.epochs))[-1]
    clear = CLEAR_STANDARD_ERRORS * task.standard_error(last.dev, num_dev_rows)
    return [
        f"{measure.title} {before.dev[measure.name]:.3f} to {last.dev[measure.name]:.3f}"
        for measure in task.headline
        if last.dev[measure.name] - before.dev[measure.name] > clear
    ]


def clear_leads(baseline: EvaluateRecord, model: EvaluateRecord, variant: str, predictions: Path) -> list[Lead]:
    """List the measures and splits by which the baseline beats a file of a model.

    Args:
        baseline: evaluation of the baseline.
        model: evaluation of the model.
        variant: name of the model's file.
        predictions: folder of both models' predictions, read only where the baseline is ahead.

    Raises:
        RecordError: predictions that are needed are missing, or of other rows.
    """
    (linear,) = baseline.variants
    headline = TASKS[model.task].headline
    found = []
    for split in SPLITS:
        ours: SplitQuality = getattr(model.variants[variant], split)
        theirs: SplitQuality = getattr(baseline.variants[linear], split)
        values = {
            measure: (theirs.measures[measure.name].value, ours.measures[measure.name].value) for measure in headline
        }
        if any(first > second for first, second in values.values()):
            differences = _paired_differences(
                headline,
                (read_predictions(predictions / f"{BASELINE}.parquet", split), linear),
                (read_predictions(predictions / f"{model.model}.parquet", split), variant),
                baseline.resampling,
            )
            found += [
                Lead(measure, split, *values[measure], difference)
                for measure in headline
                if (difference := differences[measure.name]) is not None and difference.value > 0
            ]
    return [lead for lead in found if lead.difference.lower > 0 or _leads_everywhere(lead.measure, found)]


def _leads_everywhere(measure: Measure, leads: Sequence[Lead]) -> bool:
    return {lead.split for lead in leads if lead.measure == measure} == set(SPLITS)


def _paired_differences(
    measures: Sequence[Measure],
    baseline: tuple[Predictions, str],
    model: tuple[Predictions, str],
    resampling: Resampling,
) -> Mapping[str, Estimate | None]:
    """Compute baseline minus model on the same rows, by measure."""
    rows, label_ids = baseline[0].content_ids, baseline[0].label_ids
    logits = [join_logits(held, variant, rows) for held, variant in (baseline, model)]
    first, second = (statistics(measures, each, label_ids) for each in logits)
    return bootstrap(
        {name: difference_of(first[name], second[name]) for name in first},
        len(rows),
        replicates=resampling.replicates,
        seed=resampling.seed,
        confidence=resampling.confidence,
    )


def _line(name: str, ahead: Sequence[Lead], gains: Sequence[str], record: TrainingRecord) -> str:
    """Format one model's finding with the change to make."""
    found = []
    if ahead:
        found.append(f"the linear baseline {_verb(ahead)} {name} ({'; '.join(map(str, ahead))})")
    if gains:
        who = "it" if ahead else name
        found.append(f"{who} still improved on dev in its last epoch ({', '.join(gains)})")
    sentence = " and ".join(found)
    return f"{sentence[0].upper()}{sentence[1:]}: {_remedy(record)} in params.yaml."


def _verb(leads: Sequence[Lead]) -> str:
    """Choose the verb: "beats" only where a lead is significant."""
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
    return f"epoch {record.best_epoch} of {used} was the best, so more epochs do not help; lower `{rate}`{base}"
