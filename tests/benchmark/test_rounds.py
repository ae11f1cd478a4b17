"""Workers and whole benchmarks, on real files of a tiny teacher."""

import os
import signal
from pathlib import Path

import pytest

from pipestill.benchmark.params import BenchmarkParams
from pipestill.benchmark.rounds import Worker, run_benchmark
from pipestill.benchmark.subjects import Subject, list_subjects
from pipestill.errors import ModelError
from pipestill.exporters._base import Shape
from pipestill.exporters._graph import write_graph
from pipestill.exporters.artifact import write_config, write_tokenizer
from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.trace import trace
from pipestill.fingerprint import sha256_file
from pipestill.teacher import load_classifier

INT8 = Int8Dynamic(
    kind="int8_dynamic",
    per_channel=True,
    reduce_range=True,
    min_quantised_fraction=0,
    max_size_fraction=1,
    max_quality_drop_fraction=1,
)


@pytest.fixture(scope="module")
def onnx(teacher_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of artifact folders: the tiny teacher's. Its int8 file is no smaller, so no export would pass."""
    folder = tmp_path_factory.mktemp("onnx")
    classifier = load_classifier(teacher_folder)
    config = classifier.model.config
    shape = Shape(config.num_attention_heads, config.hidden_size)
    fp32 = OnnxFp32(kind="onnx_fp32", fuse=True).optimise(trace(classifier.model), shape).model
    target = folder / "teacher"
    write_graph(fp32, target / OnnxFp32.variant.file)
    write_graph(INT8.convert(fp32), target / INT8.variant.file)
    write_config(teacher_folder, target, classifier)
    write_tokenizer(teacher_folder, target, classifier)
    return folder


def int8_teacher(onnx: Path) -> Subject:
    return list_subjects(Path("none"), onnx, [])[2]


def imported(stderr: str) -> set[str]:
    """Modules by what -X importtime says."""
    return {line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")}


def test_a_worker_has_loaded_no_library_before_its_subject_and_none_that_its_subject_does_not_need(
    onnx: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with Worker(int8_teacher(onnx)):
        pass
    before = imported(capfd.readouterr().err)
    assert "pipestill.benchmark.timing" in before
    assert not before & {"numpy", "pyarrow", "pydantic", "torch", "onnxruntime", "tokenizers", "multiprocessing"}
    with Worker(int8_teacher(onnx)) as worker:
        worker.open("a good film")
    after = imported(capfd.readouterr().err)
    assert {"numpy", "tokenizers"} <= after
    assert not after & {"pyarrow", "pydantic", "torch", "transformers"}


def test_a_worker_runs_on_one_thread_whatever_the_shell_says(onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with Worker(int8_teacher(onnx)) as worker:
        worker.open("a good film")
        environment = Path(f"/proc/{worker.process.pid}/environ").read_bytes().split(b"\0")
    assert {b"OMP_NUM_THREADS=1", b"RAYON_NUM_THREADS=1", b"TOKENIZERS_PARALLELISM=false"} <= set(environment)


def test_a_worker_that_dies_is_an_error_that_names_subject_and_cause(onnx: Path) -> None:
    with Worker(int8_teacher(onnx)) as worker:
        worker.open("a good film")
        os.kill(worker.process.pid, signal.SIGKILL)
        with pytest.raises(ModelError, match=r"teacher \(onnx_int8\) cannot be timed") as caught:
            worker.time([["a good film"]])
    assert "SIGKILL" in str(caught.value.found)
    assert "model_quantized.onnx" in str(caught.value.next_step)


def test_a_subject_that_cannot_be_loaded_is_an_error_with_its_own_words(tmp_path: Path) -> None:
    subject = Subject(model="l2", variant="onnx_int8", folder=str(tmp_path), file="onnx/model_quantized.onnx")
    with Worker(subject) as worker, pytest.raises(ModelError, match=r"l2 \(onnx_int8\)") as caught:
        worker.open("a good film")
    assert "PredictError" in str(caught.value.found)
    assert worker.process.returncode == 0


def test_a_benchmark_times_text_to_logits_of_the_files_as_they_are(
    teacher_folder: Path, onnx: Path, texts: list[str]
) -> None:
    params = BenchmarkParams(num_rows=3, warmup_runs=1, rounds=2, throughput_batch_size=2, throughput_batches=2)
    said: list[str] = []
    record = run_benchmark(list_subjects(teacher_folder, onnx, []), texts, params, said.append)
    assert [(subject.model, subject.variant) for subject in record.subjects] == [
        ("teacher", "torch"),
        ("teacher", "onnx_fp32"),
        ("teacher", "onnx_int8"),
    ]
    files = (teacher_folder / "model.safetensors", *sorted((onnx / "teacher/onnx").iterdir()))
    for subject, file in zip(record.subjects, files, strict=True):
        assert (subject.sha256, subject.size_bytes) == (sha256_file(file), file.stat().st_size)
        assert min(subject.tokenise_ms.p50, subject.model_ms.p50, subject.load_ms, subject.first_run_ms) > 0
        assert subject.latency_ms.p50 > max(subject.tokenise_ms.p50, subject.model_ms.p50)
        assert len(subject.p50_ms_by_round) == record.rounds == 2
        assert subject.throughput_per_s > 0
        assert subject.speed_up_over_torch_teacher.lowest <= subject.speed_up_over_torch_teacher.highest
    torch, _, int8 = record.subjects
    assert torch.speed_up_over_torch_teacher.median == int8.speed_up_over_int8_teacher.median == 1
    assert torch.peak_memory_bytes > 2 * int8.peak_memory_bytes
    assert (record.timed_runs, record.num_rows, record.threads, record.batch_size) == (6, 3, 1, 1)
    assert said[-1] == "round 2 of 2"


def test_a_benchmark_without_rows_is_an_error() -> None:
    params = BenchmarkParams(num_rows=3, warmup_runs=1, rounds=2, throughput_batch_size=2, throughput_batches=2)
    with pytest.raises(ModelError, match="at least one row"):
        run_benchmark([], [], params, print)
