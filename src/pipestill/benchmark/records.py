"""What a benchmark says: each number with its unit, its conditions and its machine."""

from pipestill.benchmark.statistics import LatencyMs, Ratio
from pipestill.environment import Environment
from pipestill.records import Record


class SubjectRecord(Record):
    """One form of one model.

    Attributes:
        model: `teacher` or the name of a student.
        variant: `torch`, `onnx_fp32` or `onnx_int8`.
        sha256: of the file of weights that was timed.
        size_bytes: of that file.
        latency_ms: from text to logits at batch 1, over all rounds.
        tokenise_ms: the tokenisation's part of it.
        model_ms: the model's part of it.
        p50_ms_by_round: median latency of each round.
        throughput_per_s: rows a second from text to logits at the larger batch; the median over rounds.
        load_ms: cold start, imports and loading; Python itself runs already.
        first_run_ms: cold start, the first text.
        peak_memory_bytes: resident memory of the subject's own process, Python and libraries included.
        speed_up_over_torch_teacher: median latency of the PyTorch teacher / this subject's, within a round.
        speed_up_over_int8_teacher: the same over the teacher's int8 file.
    """

    model: str
    variant: str
    sha256: str
    size_bytes: int
    latency_ms: LatencyMs
    tokenise_ms: LatencyMs
    model_ms: LatencyMs
    p50_ms_by_round: tuple[float, ...]
    throughput_per_s: float
    load_ms: float
    first_run_ms: float
    peak_memory_bytes: int
    speed_up_over_torch_teacher: Ratio
    speed_up_over_int8_teacher: Ratio


class BenchmarkRecord(Record):
    """All subjects of one run, on one machine."""

    threads: int
    batch_size: int
    throughput_batch_size: int
    warmup_runs: int
    timed_runs: int
    rounds: int
    num_rows: int
    load_average_before: float
    environment: Environment
    subjects: tuple[SubjectRecord, ...]


def headline(record: BenchmarkRecord) -> dict[str, float]:
    """The figures that are compared between runs, named subject first."""
    metrics: dict[str, float] = {}
    for subject in record.subjects:
        name = f"{subject.model}/{subject.variant}"
        metrics |= {
            f"{name}/latency_ms_p50": subject.latency_ms.p50,
            f"{name}/latency_ms_p95": subject.latency_ms.p95,
            f"{name}/latency_ms_p99": subject.latency_ms.p99,
            f"{name}/throughput_per_s": subject.throughput_per_s,
            f"{name}/size_bytes": subject.size_bytes,
            f"{name}/peak_memory_bytes": subject.peak_memory_bytes,
            f"{name}/speed_up_over_torch_teacher": subject.speed_up_over_torch_teacher.median,
            f"{name}/speed_up_over_int8_teacher": subject.speed_up_over_int8_teacher.median,
        }
    return metrics
