"""One row of the comparison for each form of each model: quality from the evaluations, speed from the benchmark."""

from collections.abc import Iterable, Mapping

from pipestill.metrics.records import EvaluateRecord, SplitQuality
from pipestill.metrics.uncertainty import Estimate
from pipestill.records import Record

BASELINE = "baseline"
TEACHER = "teacher"
VARIANT_TITLES = {
    "linear": "TF-IDF",
    "torch": "PyTorch",
    "onnx_fp32": "ONNX fp32",
    "onnx_int8": "ONNX int8",
}


class Speed(Record):
    """What the benchmark measured of one file, tokenisation in and out.

    Latency in milliseconds at `batch_size` rows on `threads` threads; throughput in rows a second at its best batch.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    batch_size: int
    threads: int
    throughput_per_s: float | None
    size_bytes: int


class Figures(Record):
    """Quality on one split; agreement and retention are None for the PyTorch teacher, which is the reference."""

    accuracy: Estimate
    macro_f1: Estimate
    nll_nats: float
    ece: float
    agreement: Estimate | None
    retention: Estimate | None


class ComparisonRow(Record):
    """One form of one model. Ratios are the teacher's number over this row's, so more is better."""

    model: str
    variant: str
    dev: Figures
    test: Figures
    size_bytes: int | None
    size_ratio: float | None
    speed: Speed | None
    speedup_over_teacher_torch: float | None
    speedup_over_teacher_int8: float | None

    @property
    def subject(self) -> str:
        """The name that the benchmark uses: `<model>/<variant>`."""
        return f"{self.model}/{self.variant}"


def compare(evaluations: Iterable[EvaluateRecord], speeds: Mapping[str, Speed]) -> tuple[ComparisonRow, ...]:
    """Put evaluations and benchmark side by side, in the order of the evaluations.

    Args:
        evaluations: of the baseline, the teacher and the students.
        speeds: by subject, `<model>/<variant>`; a subject that was not timed has no speed in its row.
    """
    reference = speeds.get(f"{TEACHER}/torch")
    quantised = speeds.get(f"{TEACHER}/onnx_int8")
    rows = []
    for record in evaluations:
        for variant, what in record.variants.items():
            speed = speeds.get(f"{record.model}/{variant}")
            size = speed.size_bytes if speed else None
            rows.append(
                ComparisonRow(
                    model=record.model,
                    variant=variant,
                    dev=_figures(what.dev),
                    test=_figures(what.test),
                    size_bytes=what.size_bytes if size is None else size,
                    size_ratio=reference.size_bytes / size if reference and size else None,
                    speed=speed,
                    speedup_over_teacher_torch=_speedup(speed, reference),
                    speedup_over_teacher_int8=_speedup(speed, quantised),
                )
            )
    return tuple(rows)


def _figures(quality: SplitQuality) -> Figures:
    against = quality.against_teacher
    return Figures(
        accuracy=quality.accuracy,
        macro_f1=quality.macro_f1,
        nll_nats=quality.nll_nats.value,
        ece=quality.ece.value,
        agreement=against.agreement if against else None,
        retention=against.retention if against else None,
    )


def _speedup(speed: Speed | None, other: Speed | None) -> float | None:
    return other.p50_ms / speed.p50_ms if speed and other else None
