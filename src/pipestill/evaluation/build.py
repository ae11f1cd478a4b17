"""Building a model's evaluation from the logits of all its variants, paired with the teacher row by row."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipestill.data.tables import Rows, read_columns
from pipestill.environment import read_environment
from pipestill.evaluation.assess import assess, resampling
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.predictions import Predictions, join_logits, read_predictions
from pipestill.evaluation.scored import Logits, ScoredVariant
from pipestill.fingerprint import sha256_file
from pipestill.metrics.records import EvaluateRecord, RowsSource, VariantRecord, units
from pipestill.tasks.targets import LabelSet
from pipestill.variants import TORCH


@dataclass(frozen=True)
class Evaluation:
    """The outcome for one model: its record, and its logits by split."""

    record: EvaluateRecord
    predictions: dict[str, Predictions]


def build_evaluation(
    name: str,
    scored: Mapping[str, ScoredVariant],
    splits: Mapping[str, Path],
    labels: LabelSet,
    params: EvaluateParams,
    teacher_predictions: Path | None,
) -> Evaluation:
    """Turn logits into the record of a model.

    Args:
        name: name of the model.
        scored: logits and files by variant.
        splits: rows by split: `dev` and `test`.
        labels: labels of the data.
        params: settings of bootstrap, ece bins and slices.
        teacher_predictions: the teacher's logits on the same rows; None if this is the teacher, whose other variants
            are then compared with its PyTorch logits.

    Raises:
        RecordError: the teacher's predictions are missing or are of other rows.
    """
    rows = {split: read_columns(path) for split, path in splits.items()}
    teacher = {split: _teacher_logits(teacher_predictions, split, part, scored) for split, part in rows.items()}
    variants = {}
    for variant, what in scored.items():
        is_reference = teacher_predictions is None and variant == TORCH.name
        quality = {
            split: assess(
                labels.task,
                what.logits[split],
                part.label_ids,
                part.texts,
                params,
                None if is_reference else teacher[split],
            )
            for split, part in rows.items()
        }
        variants[variant] = VariantRecord(
            files=what.files,
            size_bytes=what.size_bytes,
            batch_size=what.batch_size,
            dev=quality["dev"],
            test=quality["test"],
            batching=what.batching,
        )
    record = EvaluateRecord(
        model=name,
        task=labels.task.kind,
        labels=labels.labels,
        units=units(labels.task),
        resampling=resampling(params),
        dev=_source(splits["dev"], rows["dev"]),
        test=_source(splits["test"], rows["test"]),
        teacher_predictions_sha256=None if teacher_predictions is None else sha256_file(teacher_predictions),
        variants=variants,
        environment=read_environment(),
    )
    return Evaluation(record=record, predictions=_predictions(rows, scored))


def headline(record: EvaluateRecord) -> dict[str, float]:
    """Return the figures to compare between runs: `<variant>.<split>.<metric>`."""
    numbers: dict[str, float] = {}
    for variant, what in record.variants.items():
        for split, quality in (("dev", what.dev), ("test", what.test)):
            prefix = f"{variant}.{split}"
            numbers |= {f"{prefix}.{name}": estimate.value for name, estimate in quality.measures.items()}
            if quality.against_teacher is not None:
                numbers[f"{prefix}.agreement"] = quality.against_teacher.agreement.value
                if quality.against_teacher.retention is not None:
                    numbers[f"{prefix}.retention"] = quality.against_teacher.retention.value
    return numbers


def _teacher_logits(path: Path | None, split: str, rows: Rows, scored: Mapping[str, ScoredVariant]) -> Logits:
    if path is None:
        return scored[TORCH.name].logits[split]
    return join_logits(read_predictions(path, split), TORCH.name, tuple(rows.content_ids))


def _source(path: Path, rows: Rows) -> RowsSource:
    return RowsSource(path=path.as_posix(), sha256=sha256_file(path), num_rows=len(rows.content_ids))


def _predictions(rows: Mapping[str, Rows], scored: Mapping[str, ScoredVariant]) -> dict[str, Predictions]:
    return {
        split: Predictions(
            content_ids=tuple(part.content_ids),
            label_ids=part.label_ids,
            logits={variant: what.logits[split] for variant, what in scored.items()},
        )
        for split, part in rows.items()
    }
