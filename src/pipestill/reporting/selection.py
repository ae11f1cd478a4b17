"""Choosing the champion: the best on dev among the files that meet the constraints. Test rows are not used.

The test rows are read once, after the choice, to confirm it or not. Where no file meets the constraints, the nearest
one is packaged in the champion's place and marked with the constraints that it misses.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pipestill.limits import rounded_past
from pipestill.records import Record
from pipestill.reporting.params import Constraints, ReportParams
from pipestill.reporting.rows import BASELINE, TEACHER, ComparisonRow


class Verdict(Record):
    """One candidate: its figures for the choice, and the constraints that it misses (empty if it meets all).

    `missed` names the keys of `report.constraints`, `refused_because` explains them with the figures. `shortfall` sums,
    over the missed constraints, the missing share of the limit: 0 if it meets all.
    """

    subject: str
    dev_quality: float
    dev_retention_lower: float | None
    speedup_over_int8: float | None
    speedup_over_torch: float | None
    size_ratio: float | None
    missed: tuple[str, ...]
    refused_because: tuple[str, ...]
    shortfall: float


class Selection(Record):
    """The choice: the champion, and the file to package, which is the nearest candidate without a champion.

    `missed` names the constraints that the packaged file misses. `confirmed_on_test` is true if the champion's
    retention on test meets the limit too.
    """

    metric: str
    constraints: Constraints
    champion: str | None
    packaged: str | None
    missed: tuple[str, ...]
    confirmed_on_test: bool | None
    verdicts: tuple[Verdict, ...]


class _Check(NamedTuple):
    """One constraint checked for one candidate; `step` is the unit that the figure is rounded to."""

    constraint: str
    what: str
    found: float | None
    limit: float
    step: str

    @property
    def shortfall(self) -> float:
        """Missing share of the limit, 0 to 1; 1 where the figure is unknown, 0 without a limit."""
        if self.limit == 0:
            return 0.0
        return 1.0 if self.found is None else max(0.0, (self.limit - self.found) / self.limit)

    @property
    def reason(self) -> str:
        """Reason for the refusal, with the figures."""
        if self.found is None:
            return f"{self.what} is unknown"
        return f"{self.what} is {rounded_past(self.found, self.limit, self.step)}, below {self.limit:g}"


def choose_champion(rows: Iterable[ComparisonRow], params: ReportParams) -> Selection:
    """Judge every student's candidate files and choose.

    Args:
        rows: all rows of the comparison.
        params: metric, candidate variants, and constraints.

    Returns:
        The selection; verdicts from best to worst on dev. On equal dev quality the faster file comes first.
    """
    candidates = [row for row in rows if row.model not in (BASELINE, TEACHER) and row.variant in params.variants]
    candidates.sort(key=lambda row: (-_dev_quality(row, params), -(row.speedup_over_int8 or 0), row.subject))
    verdicts = tuple(_judge(row, params) for row in candidates)
    packaged = packaged_verdict(verdicts)
    champion = packaged.subject if packaged and not packaged.missed else None
    return Selection(
        metric=params.metric,
        constraints=params.constraints,
        champion=champion,
        packaged=packaged.subject if packaged else None,
        missed=packaged.missed if packaged else (),
        confirmed_on_test=next(
            (_is_confirmed(row, params.constraints) for row in candidates if row.subject == champion), None
        ),
        verdicts=verdicts,
    )


def packaged_verdict(verdicts: tuple[Verdict, ...]) -> Verdict | None:
    """Return the candidate with the smallest shortfall: the champion if there is one; None without candidates.

    Args:
        verdicts: verdicts from best to worst on dev, so that the better one comes first among equals.
    """
    return min(verdicts, key=lambda verdict: verdict.shortfall, default=None)


def _judge(row: ComparisonRow, params: ReportParams) -> Verdict:
    limits = params.constraints
    retention = row.dev.retention.lower if row.dev.retention else None
    int8, torch = row.speedup_over_int8, row.speedup_over_torch
    checks = (
        _Check("min_retention_lower", "lower end of retention on dev", retention, limits.min_retention_lower, "0.001"),
        _Check(
            "min_speedup_over_int8_teacher", "speed-up over the int8 teacher", int8,
            limits.min_speedup_over_int8_teacher, "0.01",
        ),
        _Check(
            "min_speedup_over_torch_teacher", "speed-up over the PyTorch teacher", torch,
            limits.min_speedup_over_torch_teacher, "0.1",
        ),
        _Check("min_size_ratio", "size ratio to the PyTorch teacher", row.size_ratio, limits.min_size_ratio, "0.1"),
    )  # fmt: skip
    missed = [check for check in checks if check.shortfall > 0]
    return Verdict(
        subject=row.subject,
        dev_quality=_dev_quality(row, params),
        dev_retention_lower=retention,
        speedup_over_int8=int8,
        speedup_over_torch=torch,
        size_ratio=row.size_ratio,
        missed=tuple(check.constraint for check in missed),
        refused_because=tuple(check.reason for check in missed),
        shortfall=sum(check.shortfall for check in missed),
    )


def _is_confirmed(champion: ComparisonRow, limits: Constraints) -> bool:
    return champion.test.retention is not None and champion.test.retention.lower >= limits.min_retention_lower


def _dev_quality(row: ComparisonRow, params: ReportParams) -> float:
    return row.dev.measures[params.metric].value
