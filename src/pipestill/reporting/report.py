"""The report: everything under reports/, made from the records alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from pipestill.environment import Environment
from pipestill.metrics.records import EvaluateRecord
from pipestill.records import write_bytes, write_json
from pipestill.reporting.params import ReportParams
from pipestill.reporting.plots.confusion import plot_confusion
from pipestill.reporting.plots.curves import plot_curves
from pipestill.reporting.plots.reliability import plot_reliability
from pipestill.reporting.plots.style import TEACHER_COLOUR, save_figure, student_colours
from pipestill.reporting.plots.tradeoff import plot_tradeoff
from pipestill.reporting.rows import BASELINE, TEACHER, VARIANT_TITLES, Speed
from pipestill.reporting.summary import SUMMARY, Summary, summarise
from pipestill.reporting.tables import markdown_table, notes, text_table
from pipestill.training.records import TrainingRecord


@dataclass(frozen=True)
class Report:
    """The outcome: the summary, and the figures by name."""

    summary: Summary
    figures: dict[str, Figure]


def make_report(
    evaluations: Sequence[EvaluateRecord],
    trainings: Sequence[TrainingRecord],
    speeds: Mapping[str, Speed],
    environment: Environment,
    params: ReportParams,
) -> Report:
    """Compare, choose and draw.

    Args:
        evaluations: of the baseline, the teacher and the students, in the order of the table.
        trainings: of the teacher and the students.
        speeds: by subject, `<model>/<variant>`.
        environment: that the speeds were measured in.
        params: how to choose.
    """
    summary = summarise(evaluations, speeds, environment, params)
    shown = shown_candidate(summary)
    figures = {"tradeoff": plot_tradeoff(summary), "curves": plot_curves(trainings) if trainings else None}
    if shown is not None:
        figures |= _candidate_figures(evaluations, shown)
    return Report(summary=summary, figures={name: figure for name, figure in figures.items() if figure is not None})


def shown_candidate(summary: Summary) -> str | None:
    """The subject that the detailed figures show: the champion, or without one the best candidate on dev."""
    verdicts = summary.selection.verdicts
    return summary.selection.champion or (verdicts[0].subject if verdicts else None)


def write_report(report: Report, folder: Path) -> None:
    """Write summary.json, table.md, table.txt and the figures; equal reports are equal bytes."""
    write_json(folder / SUMMARY, report.summary)
    write_bytes(folder / "table.txt", text_table(report.summary).encode())
    write_bytes(folder / "table.md", f"{markdown_table(report.summary)}\n{notes(report.summary)}".encode())
    for name, figure in report.figures.items():
        save_figure(figure, folder / name)


def headline(summary: Summary) -> dict[str, float]:
    """The champion's numbers, to follow from run to run; without one, how many candidates were refused."""
    verdicts = summary.selection.verdicts
    counts = {
        "num_candidates": len(verdicts),
        "num_refused": sum(1 for verdict in verdicts if verdict.refused_because),
    }
    champion = summary.champion
    if champion is None:
        return {name: float(number) for name, number in counts.items()}
    numbers = {
        **counts,
        "champion.accuracy": champion.test.accuracy.value,
        "champion.dev_accuracy": champion.dev.accuracy.value,
        "champion.retention": champion.test.retention.value if champion.test.retention else None,
        "champion.p50_ms": champion.speed.p50_ms if champion.speed else None,
        "champion.speedup_over_teacher_torch": champion.speed.speedup_over_teacher_torch if champion.speed else None,
        "champion.speedup_over_teacher_int8": champion.speed.speedup_over_teacher_int8 if champion.speed else None,
        "champion.size_ratio": champion.size_ratio,
    }
    return {name: number for name, number in numbers.items() if number is not None}


def _candidate_figures(evaluations: Sequence[EvaluateRecord], subject: str) -> dict[str, Figure]:
    """The confusion matrix of one file, and its reliability beside that of its fp32 form and the teacher."""
    records = {record.model: record for record in evaluations}
    model, variant = subject.split("/")
    labels, variants = records[model].labels, records[model].variants
    students = [name for name in records if name not in (BASELINE, TEACHER)]
    colour = student_colours(students)[model]
    curves = []
    if TEACHER in records and "torch" in records[TEACHER].variants:
        curves.append((f"{TEACHER}, PyTorch", TEACHER_COLOUR, records[TEACHER].variants["torch"].test))
    if variant != "onnx_fp32" and "onnx_fp32" in variants:
        curves.append((f"{model}, ONNX fp32", _paler(colour), variants["onnx_fp32"].test))
    curves.append((f"{model}, {VARIANT_TITLES[variant]}", colour, variants[variant].test))
    title = f"{model}, {VARIANT_TITLES[variant]}, on test"
    return {
        "confusion": plot_confusion(variants[variant].test.confusion, labels, title),
        "reliability": plot_reliability(curves, len(labels)),
    }


def _paler(colour: str) -> str:
    channels = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{(channel + 255) // 2:02x}" for channel in channels)
