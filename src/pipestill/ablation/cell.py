"""One cell: a student trained with a recipe once for each seed, the first of them exported.

A finished seed is kept in the scratch folder with its logits, so that a killed cell resumes at the next seed.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipestill.ablation.params import Recipe, StudentSettings, student_params
from pipestill.ablation.records import CellRecord, SeedRecord
from pipestill.choices import Choice
from pipestill.data.tables import TRAIN, Rows, open_table
from pipestill.diagnostics import Diagnostic
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.predictions import Predictions
from pipestill.evaluation.scoring import PRECISION, one_by_one, run_batches
from pipestill.exporters.artifact import DevRows, export_folder
from pipestill.exporters.params import ExportParams
from pipestill.exporters.records import CardContent, ExportRecord
from pipestill.metrics.measures import score, scores
from pipestill.records import Record, read_record, write_json
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, load_classifier, predict_logits, save_classifier
from pipestill.training.callbacks import Callbacks
from pipestill.training.distillation import train_student
from pipestill.training.inputs import TrainingInputs
from pipestill.training.records import EpochPoint
from pipestill.training.student_params import StudentParams
from pipestill.variants import INT8

Describe = Callable[[TorchClassifier], CardContent]


@dataclass(frozen=True)
class CellInputs:
    """The inputs of every cell.

    Attributes:
        labels: label names of the data.
        splits: rows of dev and test.
    """

    labels: LabelSet
    splits: Mapping[str, Rows]


class Outcome(Record):
    """The result of a finished seed, kept beside its logits."""

    seed: SeedRecord
    train_wall_time_s: float
    num_parameters: int
    diagnostics: tuple[Diagnostic, ...]
    choices: tuple[Choice, ...]


class FinishedCell(NamedTuple):
    """The result of a cell.

    Attributes:
        record: figures of the cell.
        train_wall_time_s: training seconds of each seed.
        predictions: logits of every seed by split; a variant is called `seed_<seed>`.
        choices: values chosen for `auto` settings.
    """

    record: CellRecord
    train_wall_time_s: tuple[float, ...]
    predictions: dict[str, Predictions]
    choices: tuple[Choice, ...]


def run_cell(
    names: tuple[str, str],
    student: StudentSettings,
    recipe: Recipe,
    seeds: tuple[int, ...],
    cell_inputs: CellInputs,
    export: ExportParams,
    evaluate: EvaluateParams,
    log_seed: Callable[[int], Callbacks[EpochPoint]],
    describe: Describe,
    folders: tuple[Path, Path],
) -> FinishedCell:
    """Train, score and export.

    Args:
        names: names of the student and of the recipe.
        student: settings of the student.
        recipe: losses, initial weights and rows of the training.
        seeds: random seeds, one training each.
        cell_inputs: data that all cells share: labels, dev and test rows.
        export: settings and gates of the export.
        evaluate: settings of scoring.
        log_seed: function from a seed to the callbacks that log its curves.
        describe: function that collects the content of a model card.
        folders: folder that keeps finished seeds, and folder of the first seed's int8 file.

    Raises:
        PipestillError: the student cannot be built as the params ask, or a gate of the export fails.
    """
    scratch, target = folders
    for seed in seeds:
        folder = scratch / f"seed-{seed}"
        if not (folder / "outcome.json").exists():
            train_seed(student_params(student, recipe, seed), cell_inputs, evaluate, log_seed(seed), folder)
    outcomes = {seed: read_record(scratch / f"seed-{seed}" / "outcome.json", Outcome) for seed in seeds}
    exported, int8_quality = export_first(
        "-".join(names), scratch / f"seed-{seeds[0]}" / "model", target, cell_inputs, export, describe
    )
    first = outcomes[seeds[0]]
    record = CellRecord(
        task=cell_inputs.labels.task.kind,
        student=names[0],
        recipe=names[1],
        seeds=tuple(outcome.seed for outcome in outcomes.values()),
        num_parameters=first.num_parameters,
        diagnostics=first.diagnostics,
        exported_seed=seeds[0],
        fp32=exported.fp32,
        int8=exported.int8,
        parity_max_abs_difference=exported.parity.max_abs_difference,
        quantised_fraction=exported.quantised_share.quantised_fraction,
        int8_dev_quality=int8_quality["dev"],
        int8_test_quality=int8_quality["test"],
    )
    times = tuple(outcome.train_wall_time_s for outcome in outcomes.values())
    return FinishedCell(record, times, _predictions(cell_inputs, scratch, seeds), first.choices)


def train_seed(
    params: StudentParams,
    cell_inputs: CellInputs,
    evaluate: EvaluateParams,
    callbacks: Callbacks[EpochPoint],
    folder: Path,
) -> None:
    """Train one seed, score it, and keep its figures, logits and model in a folder; its figures last."""
    table = open_table(params.table)
    inputs = TrainingInputs(cell_inputs.labels, table, cell_inputs.splits["dev"], folder / "training")
    trained = train_student(f"seed {params.seed}", params, inputs, callbacks)
    classifier, record = trained.classifier, trained.record
    save_classifier(classifier, folder / "model")
    logits = {
        split: predict_logits(classifier, rows.texts, batch_size=evaluate.batch_size, precision=PRECISION)
        for split, rows in cell_inputs.splits.items()
    }
    for split, values in logits.items():
        np.save(folder / f"{split}.npy", values)
    shutil.rmtree(inputs.scratch, ignore_errors=True)
    labels = {split: rows.label_ids for split, rows in cell_inputs.splits.items()}
    task = cell_inputs.labels.task
    seed = SeedRecord(
        seed=params.seed,
        num_rows=record.num_rows,
        num_epochs=len(record.epochs),
        best_epoch=record.best_epoch,
        dev=scores(task.headline, logits["dev"], labels["dev"]),
        test=scores(task.headline, logits["test"], labels["test"]),
    )
    outcome = Outcome(
        seed=seed,
        train_wall_time_s=trained.train_seconds,
        num_parameters=record.num_parameters,
        diagnostics=record.diagnostics,
        choices=record.choices,
    )
    write_json(folder / "outcome.json", outcome)


def export_first(
    name: str,
    source: Path,
    target: Path,
    cell_inputs: CellInputs,
    export: ExportParams,
    describe: Describe,
) -> tuple[ExportRecord, dict[str, float]]:
    """Export a model with all gates, keep its int8 file, and score that file on dev and test, row by row."""
    from pipestill.predict import Classifier as Runner

    classifier = load_classifier(source)
    dev = cell_inputs.splits["dev"]
    record = export_folder(
        name,
        classifier,
        source,
        target,
        DevRows(dev.texts, dev.label_ids),
        open_table(TRAIN)["text"][: export.equalisation.num_rows],
        export,
        lambda: describe(classifier),
    )
    for variant, file in record.files.items():
        if variant != INT8.name:
            (target / file.path).unlink()  # it is not read again
    runner = Runner(target, file=INT8.file)
    return record, {
        split: score(
            cell_inputs.labels.task.primary,
            run_batches(runner, rows.texts, one_by_one(len(rows.texts)), f"int8 {split}"),
            rows.label_ids,
        )
        for split, rows in cell_inputs.splits.items()
    }


def _predictions(cell_inputs: CellInputs, scratch: Path, seeds: tuple[int, ...]) -> dict[str, Predictions]:
    return {
        split: Predictions(
            content_ids=tuple(rows.content_ids),
            label_ids=rows.label_ids,
            logits={f"seed_{seed}": np.load(scratch / f"seed-{seed}" / f"{split}.npy") for seed in seeds},
        )
        for split, rows in cell_inputs.splits.items()
    }
