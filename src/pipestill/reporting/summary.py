"""The summary: all contents of the table, the figures' captions and the README, as one record."""

from collections.abc import Mapping, Sequence

from pipestill.environment import Environment
from pipestill.metrics.records import EvaluateRecord
from pipestill.records import Record
from pipestill.reporting.params import ReportParams
from pipestill.reporting.rows import ComparisonRow, Speed, compare
from pipestill.reporting.selection import Selection, choose_champion

SUMMARY = "summary.json"
"""File name of the summary in the folder of the report."""

SPEED_UNITS = {
    "p50_ms": "milliseconds a call, from text to logits",
    "model_p50_ms": "milliseconds a call, tokenisation left out",
    "throughput_per_s": "rows a second",
    "speedup_over_teacher_torch": "median latency of the PyTorch teacher / median latency",
    "speedup_over_teacher_int8": "median latency of the int8 teacher / median latency",
    "peak_memory_bytes": "bytes resident in a process of its own",
    "size_ratio": "bytes of the PyTorch teacher / bytes",
}


class Summary(Record):
    """The outcome of a pipeline: rows in the order of the table, and the choice among them.

    `advice` opens the report: changes to make in params.yaml before relying on the figures, a line for each model that
    it concerns. `remarks` are sentences on facts outside the table: the frozen base, and figures that are left out,
    with the reason.
    """

    task: str
    num_labels: int
    num_dev_rows: int
    num_test_rows: int
    confidence: float
    replicates: int
    units: dict[str, str]
    rows: tuple[ComparisonRow, ...]
    selection: Selection
    environment: Environment
    advice: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def champion(self) -> ComparisonRow | None:
        """Row of the champion; None if no candidate met the constraints."""
        return self.packaged if self.selection.champion is not None else None

    @property
    def packaged(self) -> ComparisonRow | None:
        """Row of the file in models/champion, the nearest candidate's without a champion; None without candidates."""
        return next((row for row in self.rows if row.subject == self.selection.packaged), None)

    @property
    def missed(self) -> dict[str, float]:
        """Limits that the packaged file misses, by their key in `report.constraints`; empty for a champion."""
        return {name: getattr(self.selection.constraints, name) for name in self.selection.missed}


def summarise(
    evaluations: Sequence[EvaluateRecord], speeds: Mapping[str, Speed], environment: Environment, params: ReportParams
) -> Summary:
    """Compare all files, choose the champion, and note the rows and the machine behind the numbers.

    Args:
        evaluations: evaluations of the baseline, the teacher and the students, in the order of the table; at least one.
        speeds: speed of each subject, `<model>/<variant>`.
        environment: machine on which the speeds were measured.
        params: rule for choosing the champion.
    """
    rows = compare(evaluations, speeds)
    first = evaluations[0]
    return Summary(
        task=first.task,
        num_labels=len(first.labels),
        num_dev_rows=first.dev.num_rows,
        num_test_rows=first.test.num_rows,
        confidence=first.resampling.confidence,
        replicates=first.resampling.replicates,
        units=first.units | SPEED_UNITS,
        rows=rows,
        selection=choose_champion(rows, params),
        environment=environment,
    )
