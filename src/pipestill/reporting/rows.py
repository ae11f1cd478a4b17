"""One row of the comparison for each variant of each model: quality from the evaluations, speed from the benchmark."""

from collections.abc import Iterable, Mapping

from pipestill.errors import RecordError
from pipestill.metrics.records import EvaluateRecord, SplitQuality
from pipestill.metrics.uncertainty import Estimate
from pipestill.records import Record
from pipestill.variants import TORCH, variant_named

BASELINE = "baseline"
TEACHER = "teacher"


class Speed(Record):
    """Speed of one file in the benchmark.

    Latency in milliseconds from text to logits, `model_p50_ms` without tokenisation, at `batch_size` rows on `threads`
    threads; throughput in rows a second at the benchmark's larger batch. The speed-ups are the teacher's latency over
    this one's, as the benchmark paired them round by round.
    """

    sha256: str
    size_bytes: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    model_p50_ms: float
    batch_size: int
    threads: int
    throughput_per_s: float
    peak_memory_bytes: int
    speedup_over_teacher_torch: float
    speedup_over_teacher_int8: float


class Figures(Record):
    """Quality on one split: the task's measures by name, and by which of them models are compared first.

    Agreement and retention are None for the PyTorch teacher, which is the reference.
    """

    primary_measure: str
    measures: dict[str, Estimate]
    agreement: Estimate | None
    retention: Estimate | None

    @property
    def primary(self) -> Estimate:
        """The primary measure."""
        return self.measures[self.primary_measure]


class ComparisonRow(Record):
    """One variant of one model. `size_ratio` is the PyTorch teacher's size over this row's, so more is better."""

    model: str
    variant: str
    dev: Figures
    test: Figures
    size_bytes: int | None
    size_ratio: float | None
    speed: Speed | None

    @property
    def subject(self) -> str:
        """Name of the row in the benchmark: `<model>/<variant>`."""
        return f"{self.model}/{self.variant}"

    @property
    def title(self) -> str:
        """Title of the variant."""
        return variant_named(self.variant).title

    @property
    def speedup_over_torch(self) -> float | None:
        """Speed-up over the PyTorch teacher; None if it was not timed."""
        return self.speed.speedup_over_teacher_torch if self.speed else None

    @property
    def speedup_over_int8(self) -> float | None:
        """Speed-up over the teacher's int8 file; None if it was not timed."""
        return self.speed.speedup_over_teacher_int8 if self.speed else None


def compare(evaluations: Iterable[EvaluateRecord], speeds: Mapping[str, Speed]) -> tuple[ComparisonRow, ...]:
    """Put evaluations and benchmark side by side, in the order of the evaluations.

    Args:
        evaluations: evaluations of the baseline, the teacher and the students.
        speeds: speed of each subject, `<model>/<variant>`; the row of a subject that was not timed has None.

    Raises:
        RecordError: the timed file differs from the scored one.
    """
    reference = speeds.get(f"{TEACHER}/{TORCH.name}")
    rows = []
    for record in evaluations:
        for variant, what in record.variants.items():
            subject = f"{record.model}/{variant}"
            speed = speeds.get(subject)
            if speed is not None:
                _check_same_file(subject, speed.sha256, what.files)
            rows.append(
                ComparisonRow(
                    model=record.model,
                    variant=variant,
                    dev=_figures(what.dev),
                    test=_figures(what.test),
                    size_bytes=what.size_bytes,
                    size_ratio=reference.size_bytes / speed.size_bytes if reference and speed else None,
                    speed=speed,
                )
            )
    return tuple(rows)


def _figures(quality: SplitQuality) -> Figures:
    against = quality.against_teacher
    return Figures(
        primary_measure=quality.primary_measure,
        measures=quality.measures,
        agreement=against.agreement if against else None,
        retention=against.retention if against else None,
    )


def _check_same_file(subject: str, timed: str, scored: Mapping[str, str]) -> None:
    if timed not in scored.values():
        raise RecordError(
            f"the file timed as {subject} differs from the one that was scored",
            found=f"timed: sha256 {timed}",
            expected=f"one of {dict(scored)}",
            next_step="run `dvc repro` to score and time the same files",
        )
