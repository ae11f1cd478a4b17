"""The record of a benchmark: each number with its unit, its conditions and its machine."""

from pipestill.benchmark.statistics import LatencyMs, Ratio
from pipestill.environment import Environment
from pipestill.records import Record


class SubjectRecord(Record):
    """One variant of one model.

    Attributes:
        model: name of the model, `teacher` or a student's.
        variant: name of the variant, such as `torch` or `onnx_int8`.
        sha256: SHA-256 of the file of weights that was timed.
        size_bytes: size of that file.
        latency_ms: latency from text to logits at batch 1, over all rounds.
        tokenise_ms: part of the latency spent on tokenisation.
        model_ms: part of the latency spent in the model.
        p50_ms_by_round: median latency of each round.
        throughput_per_s: rows a second from text to logits at the larger batch; the median over rounds.
        load_ms: cold start: imports and loading, without the start of Python.
        first_run_ms: cold start: latency of the first text.
        peak_memory_bytes: resident memory of the subject's own process, Python and libraries included.
        speed_up_over_torch_teacher: median latency of the PyTorch teacher / this subject's, within a round.
        speed_up_over_int8_teacher: median latency of the teacher's int8 file / this subject's, within a round.
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
    """Return the figures to compare between runs, named subject first."""
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
