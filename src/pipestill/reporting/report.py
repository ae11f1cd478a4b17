"""The report: everything under reports/, made from the records alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipestill.environment import Environment
from pipestill.metrics.records import EvaluateRecord
from pipestill.records import write_bytes, write_json
from pipestill.reporting.advice import advise
from pipestill.reporting.figures import Figures, Plot, draw, write_figures
from pipestill.reporting.params import ReportParams
from pipestill.reporting.plots.confusion import plot_confusion, substitutes
from pipestill.reporting.plots.curves import plot_curves
from pipestill.reporting.plots.reliability import plot_reliability
from pipestill.reporting.plots.style import TEACHER_COLOUR, student_colours
from pipestill.reporting.plots.tradeoff import plot_tradeoff
from pipestill.reporting.rows import BASELINE, TEACHER, Speed
from pipestill.reporting.summary import SUMMARY, Summary, summarise
from pipestill.reporting.tables import markdown_page, text_table
from pipestill.tasks import TASKS, Task
from pipestill.training.records import TrainingRecord
from pipestill.variants import FP32, TORCH, variant_named

FIGURES = ("tradeoff", "curves", "confusion", "reliability")
"""Every figure of the report, as dvc.yaml lists them."""


@dataclass(frozen=True)
class Report:
    """The outcome: the summary, and the figures."""

    summary: Summary
    figures: Figures


def make_report(
    evaluations: Sequence[EvaluateRecord],
    trainings: Sequence[TrainingRecord],
    speeds: Mapping[str, Speed],
    environment: Environment,
    params: ReportParams,
    predictions: Path,
) -> Report:
    """Compare, choose, advise and draw.

    Args:
        evaluations: evaluations of the baseline, the teacher and the students, in the order of the table.
        trainings: training records of the teacher and the students.
        speeds: speed of each subject, `<model>/<variant>`.
        environment: machine on which the speeds were measured.
        params: rule for choosing the champion.
        predictions: folder of every model's predictions.

    Raises:
        RecordError: records or predictions do not fit each other.
    """
    summary = summarise(evaluations, speeds, environment, params)
    task = TASKS[summary.task]
    shown = summary.selection.packaged
    plots: dict[str, Plot] = {"tradeoff": partial(plot_tradeoff, summary)}
    if trainings:
        plots["curves"] = partial(plot_curves, task.primary, trainings)
    if shown is not None:
        plots |= _candidate_plots(evaluations, shown)
    figures = draw(plots)
    remarks = _numbered(evaluations[0].labels) if "confusion" in figures.drawn else ()
    advice = advise(evaluations, trainings, shown, predictions)
    return Report(
        summary=summary.model_copy(
            update={"advice": advice, "remarks": (*_frozen_base(task, trainings), *figures.remarks, *remarks)}
        ),
        figures=figures,
    )


def _frozen_base(task: Task, trainings: Sequence[TrainingRecord]) -> tuple[str, ...]:
    """Write a sentence on the teacher's frozen base as one more baseline, where its head was fitted on it."""
    teacher = next((record for record in trainings if record.model == TEACHER), None)
    if teacher is None or teacher.frozen_base is None:
        return ()
    base, best = teacher.frozen_base, teacher.best
    frozen = " and ".join(f"{measure.title} {base.dev[measure.name]:.3f}" for measure in task.headline)
    tuned = " and ".join(f"{best.dev[measure.name]:.3f}" for measure in task.headline)
    return (f"A linear head on the frozen base has {frozen} on dev, the teacher {tuned}.",)


def write_report(report: Report, folder: Path) -> None:
    """Write summary.json, table.md, table.txt and the figures; equal reports are equal bytes."""
    write_json(folder / SUMMARY, report.summary)
    write_bytes(folder / "table.txt", text_table(report.summary).encode())
    write_bytes(folder / "table.md", markdown_page(report.summary).encode())
    write_figures(report.figures, FIGURES, folder)


def headline(summary: Summary) -> dict[str, float]:
    """Return the figures to compare between runs: the champion's, or the nearest candidate's under other names."""
    verdicts = summary.selection.verdicts
    counts = {
        "num_candidates": float(len(verdicts)),
        "num_refused": float(sum(1 for verdict in verdicts if verdict.missed)),
    }
    row = summary.packaged
    if row is None:
        return counts
    numbers = {
        row.test.primary_measure: row.test.primary.value,
        f"dev_{row.dev.primary_measure}": row.dev.primary.value,
        "retention": row.test.retention.value if row.test.retention else None,
        "p50_ms": row.speed.p50_ms if row.speed else None,
        "speedup_over_teacher_torch": row.speedup_over_torch,
        "speedup_over_teacher_int8": row.speedup_over_int8,
        "size_ratio": row.size_ratio,
    }
    if summary.champion is None:
        numbers["shortfall"] = next(verdict.shortfall for verdict in verdicts if verdict.subject == row.subject)
    role = "champion" if summary.champion else "nearest"
    return counts | {f"{role}.{name}": number for name, number in numbers.items() if number is not None}


def _candidate_plots(evaluations: Sequence[EvaluateRecord], subject: str) -> dict[str, Plot]:
    """List the confusion matrix of one file, and its reliability beside those of its fp32 file and the teacher."""
    records = {record.model: record for record in evaluations}
    model, variant = subject.split("/")
    labels, variants = records[model].labels, records[model].variants
    students = [name for name in records if name not in (BASELINE, TEACHER)]
    colour = student_colours(students)[model]
    curves = []
    if TEACHER in records and TORCH.name in records[TEACHER].variants:
        curves.append((f"{TEACHER}, {TORCH.title}", TEACHER_COLOUR, records[TEACHER].variants[TORCH.name].test))
    if variant != FP32.name and FP32.name in variants:
        curves.append((f"{model}, {FP32.title}", _paler(colour), variants[FP32.name].test))
    name = f"{model}, {variant_named(variant).title}"
    curves.append((name, colour, variants[variant].test))
    title = f"{name}, on test"
    return {
        "confusion": partial(plot_confusion, variants[variant].test.confusion, labels, title),
        "reliability": partial(plot_reliability, curves, len(labels)),
    }


def _numbered(labels: Sequence[str]) -> tuple[str, ...]:
    """Write the key of the labels that the confusion matrix draws by number."""
    found = substitutes(labels)
    if not found:
        return ()
    key = ", ".join(f"{number} is {label}" for number, label in found.items())
    remark = (
        f'In the figure "confusion", {key}: no font of this machine has all the characters. Install one that has, '
        "such as Noto Sans of that script, and run dvc repro -s -f report."
    )
    return (remark,)


def _paler(colour: str) -> str:
    channels = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{(channel + 255) // 2:02x}" for channel in channels)
