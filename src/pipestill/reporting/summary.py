"""The summary: everything that the table, the figures' captions and the README say, as one record."""

from collections.abc import Mapping, Sequence

from pipestill.environment import Environment
from pipestill.metrics.records import UNITS as QUALITY_UNITS
from pipestill.metrics.records import EvaluateRecord
from pipestill.records import Record
from pipestill.reporting.params import ReportParams
from pipestill.reporting.rows import ComparisonRow, Speed, compare
from pipestill.reporting.selection import Selection, choose_champion

SUMMARY = "summary.json"
"""Its file in the folder of the report."""

UNITS = QUALITY_UNITS | {
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

    `advice` is what the report opens with: what to change in params.yaml before the figures are relied on, a line for
    each model that it concerns. `remarks` are plain sentences on what the table does not show: the frozen base, and
    what the figures leave out, and why.
    """

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
        """The row of the champion; None if no candidate met the constraints."""
        return self.packaged if self.selection.champion is not None else None

    @property
    def packaged(self) -> ComparisonRow | None:
        """The row of the file in models/champion, the nearest candidate's without a champion; None of none."""
        return next((row for row in self.rows if row.subject == self.selection.packaged), None)

    @property
    def missed(self) -> dict[str, float]:
        """The limits that the packaged file misses, by their key in `report.constraints`; empty for a champion."""
        return {name: getattr(self.selection.constraints, name) for name in self.selection.missed}


def summarise(
    evaluations: Sequence[EvaluateRecord], speeds: Mapping[str, Speed], environment: Environment, params: ReportParams
) -> Summary:
    """Compare, choose, and state what the numbers rest on.

    Args:
        evaluations: of the baseline, the teacher and the students, in the order of the table; at least one.
        speeds: by subject, `<model>/<variant>`.
        environment: that the speeds were measured in.
        params: how to choose.
    """
    rows = compare(evaluations, speeds)
    first = evaluations[0]
    return Summary(
        num_labels=len(first.labels),
        num_dev_rows=first.dev.num_rows,
        num_test_rows=first.test.num_rows,
        confidence=first.resampling.confidence,
        replicates=first.resampling.replicates,
        units=UNITS,
        rows=rows,
        selection=choose_champion(rows, params),
        environment=environment,
    )
