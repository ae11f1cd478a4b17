import itertools
from collections.abc import Sequence
from pathlib import Path

from pipestill.benchmark.footprint import peak_memory_bytes
from pipestill.benchmark.rounds import _turns
from pipestill.benchmark.statistics import speed_up, summarise
from pipestill.benchmark.subjects import list_subjects
from pipestill.benchmark.timing import time_batches


class Echo:
    def __init__(self) -> None:
        self.seen: list[Sequence[str]] = []

    def encode(self, texts: Sequence[str]) -> Sequence[str]:
        return texts

    def run(self, batch: Sequence[str]) -> None:
        self.seen.append(batch)


def test_tokenisation_and_model_are_timed_apart_by_the_clock_given() -> None:
    ticks = itertools.accumulate([0, 1_000_000, 3_000_000, 500_000, 2_000_000, 4_000_000])
    subject = Echo()
    timed = time_batches(subject, [["a"], ["b", "c"]], lambda: next(ticks))
    assert timed.tokenise_ms == [1, 2]
    assert timed.model_ms == [3, 4]
    assert timed.total_ms == [4, 6]
    assert subject.seen == [["a"], ["b", "c"]]


def test_percentiles_of_one_to_hundred() -> None:
    latency = summarise(range(101))
    assert (latency.p50, latency.p95, latency.p99) == (50, 95, 99)


def test_a_speed_up_is_taken_within_each_round_so_that_drift_cancels() -> None:
    ratio = speed_up([[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]], [[5.0], [10.0], [10.0]])
    assert (ratio.median, ratio.lowest, ratio.highest) == (2, 2, 3)


def test_each_round_starts_one_subject_further() -> None:
    assert [_turns(3, number) for number in range(3)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]


def test_subjects_are_the_teacher_in_three_forms_and_each_student_in_two() -> None:
    names = [(s.model, s.variant) for s in list_subjects(Path("t"), Path("o"), ["l3"])]
    assert names == [
        ("teacher", "torch"),
        ("teacher", "onnx_fp32"),
        ("teacher", "onnx_int8"),
        ("l3", "onnx_fp32"),
        ("l3", "onnx_int8"),
    ]


def test_peak_memory_is_that_of_this_process_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tx\nVmHWM:\t    2048 kB\n")
    assert peak_memory_bytes(tmp_path / "status") == 2 << 20
    assert peak_memory_bytes(tmp_path / "none") > 1 << 20


def test_a_pytorch_model_is_timed_on_the_inputs_of_training(teacher_folder: Path) -> None:
    from pipestill.benchmark.worker import TorchSubject

    assert {*TorchSubject(teacher_folder, 1).encode(["a good film", "bad"])} == {"input_ids", "attention_mask"}
