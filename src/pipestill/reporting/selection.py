"""Choosing the champion: the best on dev among the files that meet the constraints. The test rows have no say.

The test rows are read once, after the choice, to say whether they confirm it.
"""

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal

from pipestill.records import Record
from pipestill.reporting.params import ReportParams
from pipestill.reporting.rows import BASELINE, TEACHER, ComparisonRow


class Verdict(Record):
    """One candidate: its figures for the choice, and why it was refused (empty if it met every constraint)."""

    subject: str
    dev_quality: float
    dev_retention_lower: float | None
    speedup: float | None
    size_ratio: float | None
    refused_because: tuple[str, ...]


class Selection(Record):
    """The choice. `confirmed_on_test` says whether the champion's retention on test meets the limit too."""

    metric: str
    min_retention_lower: float
    min_speedup: float
    min_size_ratio: float
    champion: str | None
    confirmed_on_test: bool | None
    verdicts: tuple[Verdict, ...]


def choose_champion(rows: Iterable[ComparisonRow], params: ReportParams) -> Selection:
    """Judge every student's candidate files and choose.

    Args:
        rows: all rows of the comparison.
        params: metric, variants that may win, and constraints.

    Returns:
        The selection; verdicts from best to worst on dev. On equal dev quality the faster file comes first.
    """
    candidates = [row for row in rows if row.model not in (BASELINE, TEACHER) and row.variant in params.variants]
    candidates.sort(key=lambda row: (-_dev_quality(row, params), -(row.speedup or 0), row.subject))
    verdicts = tuple(_judge(row, params) for row in candidates)
    champion = next(
        (row for row, verdict in zip(candidates, verdicts, strict=True) if not verdict.refused_because), None
    )
    limit = params.constraints.min_retention_lower
    return Selection(
        metric=params.metric,
        **params.constraints.model_dump(),
        champion=champion.subject if champion else None,
        confirmed_on_test=None
        if champion is None
        else champion.test.retention is not None and champion.test.retention.lower >= limit,
        verdicts=verdicts,
    )


def _judge(row: ComparisonRow, params: ReportParams) -> Verdict:
    limits = params.constraints
    retention = row.dev.retention.lower if row.dev.retention else None
    checks = (
        ("lower end of retention on dev", retention, limits.min_retention_lower, "0.001"),
        ("speed-up over the PyTorch teacher", row.speedup, limits.min_speedup, "0.1"),
        ("size ratio to the PyTorch teacher", row.size_ratio, limits.min_size_ratio, "0.1"),
    )
    return Verdict(
        subject=row.subject,
        dev_quality=_dev_quality(row, params),
        dev_retention_lower=retention,
        speedup=row.speedup,
        size_ratio=row.size_ratio,
        refused_because=tuple(
            refusal for what, found, limit, digits in checks if (refusal := _refusal(what, found, limit, digits))
        ),
    )


def _refusal(what: str, found: float | None, limit: float, digits: str) -> str | None:
    if found is None:
        return f"{what} is not known"
    if found < limit:
        rounded_down = Decimal(str(found)).quantize(Decimal(digits), ROUND_FLOOR)  # never up to the limit itself
        return f"{what} is {rounded_down}, below {limit:g}"
    return None


def _dev_quality(row: ComparisonRow, params: ReportParams) -> float:
    return row.dev.accuracy.value if params.metric == "accuracy" else row.dev.macro_f1.value
