from pathlib import Path

import pytest
from invented_records import ENVIRONMENT

from pipestill.benchmark.records import BenchmarkRecord, SubjectRecord
from pipestill.benchmark.statistics import LatencyMs, Ratio
from pipestill.errors import RecordError
from pipestill.records import write_json
from pipestill.reporting.speeds import read_speeds


def test_a_subject_keeps_its_numbers_and_conditions(tmp_path: Path) -> None:
    latency = LatencyMs(p50=0.9, p95=1.2, p99=1.5)
    subject = SubjectRecord(
        model="bert_l3",
        variant="onnx_int8",
        sha256="a" * 64,
        size_bytes=17,
        latency_ms=latency,
        tokenise_ms=latency,
        model_ms=latency,
        p50_ms_by_round=(0.9,),
        throughput_per_s=1000,
        load_ms=1,
        first_run_ms=1,
        peak_memory_bytes=5,
        speed_up_over_torch_teacher=Ratio(median=11, lowest=10, highest=12),
        speed_up_over_int8_teacher=Ratio(median=2, lowest=1, highest=3),
    )
    record = BenchmarkRecord(
        threads=1,
        batch_size=1,
        throughput_batch_size=32,
        warmup_runs=1,
        timed_runs=1,
        rounds=1,
        num_rows=1,
        load_average_before=0,
        environment=ENVIRONMENT,
        subjects=(subject,),
    )
    write_json(tmp_path / "benchmark.json", record)
    speeds, environment = read_speeds(tmp_path / "benchmark.json")
    speed = speeds["bert_l3/onnx_int8"]
    assert environment == ENVIRONMENT
    assert (speed.p50_ms, speed.p95_ms, speed.p99_ms) == (0.9, 1.2, 1.5)
    assert (speed.speedup_over_teacher_torch, speed.speedup_over_teacher_int8) == (11, 2)
    assert (speed.batch_size, speed.threads, speed.size_bytes, speed.sha256) == (1, 1, 17, "a" * 64)


def test_a_missing_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        read_speeds(tmp_path / "benchmark.json")
