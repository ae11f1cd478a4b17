"""The champion's folder: the files that were exported and scored, with a card that holds their figures on test.

Without a champion it holds the nearest candidate, whose card opens with the constraints that it misses. The card omits
latency, which varies by machine and would change the folder's bytes with every benchmark.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipestill.errors import RecordError
from pipestill.exporters.model_card import render_card
from pipestill.exporters.records import ExportRecord, FileRecord
from pipestill.metrics.records import EvaluateRecord, SplitQuality
from pipestill.records import write_bytes
from pipestill.reporting.mark import header_lines, notice_lines
from pipestill.reporting.notes import choice_lines
from pipestill.reporting.summary import Summary
from pipestill.reporting.tables import NOTHING, with_interval
from pipestill.tasks import TASKS
from pipestill.variants import INT8

CARD = "README.md"


def package_champion(
    source: Path, target: Path, export: ExportRecord, evaluation: EvaluateRecord, summary: Summary
) -> None:
    """Copy an exported folder and write its card anew, with the figures on test.

    Args:
        source: exported folder of the champion, or of the nearest candidate.
        target: folder to write; must not exist.
        export: export record of that model.
        evaluation: evaluation of that model.
        summary: summary of the report that chose it.

    Raises:
        RecordError: a scored file differs from the exported one.
    """
    for variant, file in export.files.items():
        _check_scored(variant, file, evaluation)
    quality = quality_lines(export.files, evaluation, summary)
    card = render_card(
        export,
        quality=quality,
        results=hub_results(export.files, evaluation, export, summary),
        header=header_lines(summary.missed),
        notice=notice_lines(summary.missed),
    )
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(CARD), copy_function=shutil.copyfile)
    write_bytes(target / CARD, card.encode())


def package_nothing(target: Path, summary: Summary) -> None:
    """Write a folder with only a note that candidates are missing; `make release` refuses it."""
    reasons = "\n".join(choice_lines(summary))
    write_bytes(target / CARD, f"# No model\n\n{reasons}\n".encode())


def quality_lines(variants: dict[str, FileRecord], evaluation: EvaluateRecord, summary: Summary) -> list[str]:
    """Write the card's section on quality: each file on test, with intervals, the chosen one in bold."""
    resampling, task = evaluation.resampling, TASKS[evaluation.task]
    headings = [each.title if each.unit == "fraction" else f"{each.title} ({each.unit})" for each in task.measures]
    lines = [
        "## Quality",
        "",
        (
            f"On {evaluation.test.num_rows:,} test rows, which had no say in training or in the choice of this model. "
            f"Brackets: {resampling.confidence:.0%} paired-bootstrap intervals ({resampling.replicates:,} replicates)."
        ),
        "",
        "| " + " | ".join(["file", *headings, "agreement", "retention"]) + " |",
        "|---" + "|---:" * (len(headings) + 2) + "|",
    ]
    chosen = _chosen(variants, evaluation, summary)
    for variant, file in variants.items():
        name = f"**{file.path}**" if variant == chosen else file.path
        lines.append("| " + " | ".join([name, *_cells(evaluation.variants[variant].test)]) + " |")
    return [
        *lines,
        "",
        (
            "Agreement: rows that get the label the PyTorch teacher gives. Retention: "
            f"{task.primary.title} as a share of the teacher's on the same rows. ECE: expected calibration error, a "
            "fraction."
        ),
        "",
        choice_lines(summary)[0],
        "",
        *(_how_to_run(variants[chosen]) if chosen != INT8.name else ()),
    ]


def hub_results(
    variants: dict[str, FileRecord], evaluation: EvaluateRecord, export: ExportRecord, summary: Summary
) -> Sequence[object]:
    """Format the chosen file's figures for model hubs."""
    quality = evaluation.variants[_chosen(variants, evaluation, summary)].test
    task = TASKS[evaluation.task]
    metrics = [
        {"type": measure.hub_type, "name": measure.title, "value": quality.measures[measure.name].value}
        for measure in task.headline
    ]
    name = export.card.data_name
    dataset = {"type": name, "name": name, "split": "test"}
    return [{"task": {"type": task.hub_task}, "dataset": dataset, "metrics": metrics}]


def _chosen(variants: Iterable[str], evaluation: EvaluateRecord, summary: Summary) -> str:
    return next(variant for variant in variants if f"{evaluation.model}/{variant}" == summary.selection.packaged)


def _how_to_run(file: FileRecord) -> list[str]:
    return [f"The int8 file is what runs unless another is named: `pipestill predict FOLDER --file {file.path}`.", ""]


def _cells(quality: SplitQuality) -> list[str]:
    against = quality.against_teacher
    return [
        *(with_interval(estimate) for estimate in quality.measures.values()),
        with_interval(against.agreement, percent=True) if against else NOTHING,
        with_interval(against.retention, percent=True) if against else NOTHING,
    ]


def _check_scored(variant: str, file: FileRecord, evaluation: EvaluateRecord) -> None:
    scored = evaluation.variants[variant].files
    if file.sha256 not in scored.values():
        raise RecordError(
            f"{file.path} of {evaluation.model} differs from the file that was scored",
            found=f"exported: sha256 {file.sha256}",
            expected=f"one of {dict(scored)}",
            next_step="run `dvc repro` to score the files that were exported",
        )
