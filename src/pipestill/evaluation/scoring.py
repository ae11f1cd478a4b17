"""Running each variant of a model over rows: the PyTorch folder, and ONNX files as an application would run them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from pipestill.data.tables import Rows, read_columns
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.scored import Logits, ScoredVariant
from pipestill.fingerprint import sha256_file
from pipestill.metrics.agreement import logit_difference
from pipestill.metrics.measures import score
from pipestill.metrics.records import BatchSensitivity
from pipestill.precision import Precision
from pipestill.progress import shown
from pipestill.tasks import Task
from pipestill.tasks.targets import LabelSet, check_labels
from pipestill.threads import spread
from pipestill.variants import TORCH, Variant, exported_variants

PRECISION: Precision = "float32"
"""PyTorch models are scored in float32 on every machine: retention is measured against the teacher's figures."""
SENSITIVITY_ROWS = 512
"""Test rows for the comparison of batches with single rows, enough to estimate a logit difference."""
BESIDE_THE_WEIGHTS = ("config.json", "tokenizer.json", "tokenizer_config.json")
"""The other files of a model folder that decide its logits."""


class OnnxRunner(Protocol):
    """The part of `pipestill.predict.Classifier` that scoring uses."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names by label_id."""

    def logits(self, texts: Sequence[str]) -> Logits:
        """Score texts in one batch, padded to the longest of them: `[batch, label]`."""


def score_variants(
    model_folder: Path, onnx_folder: Path, splits: Mapping[str, Path], labels: LabelSet, params: EvaluateParams
) -> dict[str, ScoredVariant]:
    """Score every variant of a trained model on every split.

    Args:
        model_folder: folder of the PyTorch model.
        onnx_folder: folder of the exported files.
        splits: rows by split: `dev` and `test`.
        labels: labels of the data.
        params: settings with the batch size.

    Raises:
        ModelError: a folder cannot be loaded, or has other labels than the data.
    """
    rows = {split: read_columns(path) for split, path in splits.items()}
    scored = {TORCH.name: score_torch(model_folder, rows, labels, params)}
    for variant in exported_variants(onnx_folder):
        scored[variant.name] = score_onnx(onnx_folder, variant, rows, labels, params)
    return scored


def score_torch(folder: Path, rows: dict[str, Rows], labels: LabelSet, params: EvaluateParams) -> ScoredVariant:
    """Score the texts of each split with a PyTorch folder, in batches of similar length.

    Raises:
        ModelError: the folder cannot be loaded, or has other labels than the data.
    """
    from pipestill.teacher import load_classifier, predict_logits

    classifier = load_classifier(folder)
    check_labels(folder, classifier.labels.labels, labels.labels)
    weights = sorted(path.name for path in folder.glob("*.safetensors"))
    return ScoredVariant(
        files=_sha256_of(folder, [*weights, *BESIDE_THE_WEIGHTS]),
        size_bytes=sum((folder / name).stat().st_size for name in weights),
        batch_size=params.batch_size,
        logits={
            split: predict_logits(
                classifier,
                part.texts,
                batch_size=params.batch_size,
                precision=PRECISION,
                show=f"{TORCH.name} {split}",
            )
            for split, part in rows.items()
        },
        batching=None,
    )


def score_onnx(
    folder: Path, variant: Variant, rows: dict[str, Rows], labels: LabelSet, params: EvaluateParams
) -> ScoredVariant:
    """Score the texts of each split with one ONNX file of an exported folder.

    A file whose logits depend on the batch (int8; see `BatchSensitivity`) is scored row by row, since applications
    mostly classify one text at a time; the effect of batches is measured on the test split.

    Args:
        folder: folder of the exported files.
        variant: variant whose file is scored.
        rows: rows by split, of which one is `test`.
        labels: labels of the data.
        params: settings with the batch size.

    Raises:
        ModelError: the folder has other labels than the data.
    """
    from pipestill.predict import Classifier

    runner = Classifier(folder, file=variant.file)
    check_labels(folder, runner.labels, labels.labels)
    logits, batching = {}, None
    for split, part in rows.items():
        in_batches = variant.computes_in_floats
        batches = by_length(part.texts, params.batch_size) if in_batches else one_by_one(len(part.texts))
        logits[split] = run_batches(runner, part.texts, batches, f"{variant.name} {split}")
    if not variant.computes_in_floats:
        batching = batch_sensitivity(labels.task, runner, rows["test"], logits["test"], params.batch_size)
    return ScoredVariant(
        files=_sha256_of(folder, [variant.file, *BESIDE_THE_WEIGHTS]),
        size_bytes=(folder / variant.file).stat().st_size,
        batch_size=params.batch_size if variant.computes_in_floats else 1,
        logits=logits,
        batching=batching,
    )


def batch_sensitivity(task: Task, runner: OnnxRunner, rows: Rows, alone: Logits, batch_size: int) -> BatchSensitivity:
    """Measure the difference between logits in batches and logits of single rows.

    Args:
        task: task that the logits answer.
        runner: exported file to run.
        rows: test rows, sorted by a hash of the text; the first `SENSITIVITY_ROWS` are used.
        alone: logits of each row in a batch of its own, `[row, label]`.
        batch_size: rows of a batch.
    """
    texts, label_ids, alone = rows.texts[:SENSITIVITY_ROWS], rows.label_ids[:SENSITIVITY_ROWS], alone[:SENSITIVITY_ROWS]
    ordered = run_batches(runner, texts, by_length(texts, batch_size), f"batches of {batch_size} by length")
    unordered = run_batches(runner, texts, in_order(len(texts), batch_size), f"batches of {batch_size} in order")
    return BatchSensitivity(
        num_rows=len(texts),
        batch_size=batch_size,
        quality_alone=score(task.primary, alone, label_ids),
        quality_sorted_by_length=score(task.primary, ordered, label_ids),
        quality_in_row_order=score(task.primary, unordered, label_ids),
        sorted_by_length=logit_difference(task, ordered, alone),
        in_row_order=logit_difference(task, unordered, alone),
    )


def run_batches(runner: OnnxRunner, texts: Sequence[str], batches: Sequence[Sequence[int]], what: str) -> Logits:
    """Score texts in the given batches of row numbers, one batch per thread.

    Returns:
        Logits `[batch, label]`, in the order of the texts.
    """
    logits = np.empty((len(texts), len(runner.labels)), dtype=np.float32)
    scored = spread(lambda batch: runner.logits([texts[row] for row in batch]), batches)
    for batch, found in zip(batches, shown(scored, what, "batches", total=len(batches)), strict=True):
        logits[list(batch)] = found
    return logits


def one_by_one(num_rows: int) -> list[list[int]]:
    """Split rows into batches of one row, without padding."""
    return in_order(num_rows, 1)


def in_order(num_rows: int, batch_size: int) -> list[list[int]]:
    """Split rows in their order into batches: long and short together, with much padding."""
    return [list(range(start, min(start + batch_size, num_rows))) for start in range(0, num_rows, batch_size)]


def by_length(texts: Sequence[str], batch_size: int) -> list[list[int]]:
    """Split rows sorted by characters into batches with little padding."""
    order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), row))
    return [[order[position] for position in batch] for batch in in_order(len(order), batch_size)]


def _sha256_of(folder: Path, names: Sequence[str]) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in names if (folder / name).exists()}
