"""Reading the table's speeds from the benchmark's record."""

from pathlib import Path

from pipestill.benchmark.records import BenchmarkRecord
from pipestill.environment import Environment
from pipestill.records import read_record
from pipestill.reporting.rows import Speed


def read_speeds(path: Path) -> tuple[dict[str, Speed], Environment]:
    """Read the benchmark.

    Returns:
        The speed of each subject, by `<model>/<variant>`, and the machine of the measurement.

    Raises:
        RecordError: the record is missing or malformed.
    """
    record = read_record(path, BenchmarkRecord)
    return speeds_of(record), record.environment


def speeds_of(record: BenchmarkRecord) -> dict[str, Speed]:
    """Return the speed of each subject, by `<model>/<variant>`."""
    return {
        f"{subject.model}/{subject.variant}": Speed(
            sha256=subject.sha256,
            size_bytes=subject.size_bytes,
            p50_ms=subject.latency_ms.p50,
            p95_ms=subject.latency_ms.p95,
            p99_ms=subject.latency_ms.p99,
            model_p50_ms=subject.model_ms.p50,
            batch_size=record.batch_size,
            threads=record.threads,
            throughput_per_s=subject.throughput_per_s,
            peak_memory_bytes=subject.peak_memory_bytes,
            speedup_over_teacher_torch=subject.speed_up_over_torch_teacher.median,
            speedup_over_teacher_int8=subject.speed_up_over_int8_teacher.median,
        )
        for subject in record.subjects
    }
