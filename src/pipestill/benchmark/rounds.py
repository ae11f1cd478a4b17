"""The parent process of a benchmark: subjects take turns in rounds, so that a slow phase of the machine affects all."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain, cycle, islice
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from pipestill.benchmark.params import BenchmarkParams
from pipestill.benchmark.records import BenchmarkRecord, SubjectRecord
from pipestill.benchmark.statistics import speed_up, summarise
from pipestill.benchmark.subjects import TEACHER, Subject
from pipestill.benchmark.timing import Timed
from pipestill.benchmark.worker import THREADS
from pipestill.environment import read_environment
from pipestill.errors import ModelError
from pipestill.variants import INT8, TORCH

Say = Callable[[str], None]
WORKER = "pipestill.benchmark.worker"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
"""Variables that libraries read when they load, so that they must be set before the process starts."""
END_TIMEOUT_S = 5


class Opened(NamedTuple):
    """A cold start: milliseconds of import and loading, and of the first text."""

    load_ms: float
    first_run_ms: float


class TimedRuns(NamedTuple):
    """The timed runs of one subject by round, and its cold start and memory."""

    latency: list[Timed]
    throughput: list[Timed]
    opened: Opened
    peak_memory_bytes: int


class Worker:
    """The parent's handle of a subject's process; a context manager that ends it.

    The process is a new program, not a fork or a spawned copy of this one: those include the parent's memory or import
    its main script, which would load libraries before the subject.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        environment = dict(os.environ) | dict.fromkeys(THREAD_VARIABLES, str(THREADS))
        self.process = subprocess.Popen(  # noqa: S603 (our own module by our own interpreter)
            [sys.executable, "-P", "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=environment | {"TOKENIZERS_PARALLELISM": "false", "PYTHONUTF8": "1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.process.communicate(timeout=END_TIMEOUT_S)  # the worker sees the end of its requests
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def open(self, first_text: str) -> Opened:
        """Load the subject and run one text; see `ask` for errors."""
        subject = self.subject
        request = {"variant": subject.variant, "folder": subject.folder, "file": subject.file}
        return Opened(**self.ask(request | {"first_text": first_text}))

    def time(self, batches: Sequence[Sequence[str]], warmup_runs: int = 0) -> Timed:
        """Time each batch once, after untimed runs; see `ask` for errors."""
        return Timed(**self.ask({"batches": batches, "warmup_runs": warmup_runs}))

    def peak_memory_bytes(self) -> int:
        """Read the peak resident memory of the process; see `ask` for errors."""
        return int(self.ask({}))

    def ask(self, request: Mapping[str, object]) -> Any:  # noqa: ANN401 (each request has its own answer)
        """Send a request and wait for its answer.

        Raises:
            ModelError: the worker failed or died.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(f"{json.dumps(request)}\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line.endswith("\n") else {"error": self._ending()}
        if "error" in answer:
            raise ModelError(
                f"{self.subject.model} ({self.subject.variant}) cannot be timed",
                found=answer["error"],
                next_step=f"check {self.subject.path} (`dvc repro` writes it again) and that memory is free",
            )
        return answer["result"]

    def _ending(self) -> str:
        """Describe the end of the process before its answer."""
        try:
            code = self.process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "the process closed its output"
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"the process {how} before it answered"


def run_benchmark(
    subjects: Sequence[Subject], texts: Sequence[str], params: BenchmarkParams, say: Say
) -> BenchmarkRecord:
    """Time subjects on real rows.

    Args:
        subjects: subjects to time, which must include the PyTorch teacher and its int8 file.
        texts: real rows; the first `num_rows` are used, a random sample since prepared tables are sorted by a hash of
            the text.
        params: numbers of rows and rounds, and batch sizes.
        say: callback that receives a line on each step.

    Returns:
        The figures, ratios within this run, and the machine.

    Raises:
        ModelError: rows are missing, or a subject cannot be loaded or run.
    """
    if not texts:
        raise ModelError("the benchmark needs at least one row")
    load_average = os.getloadavg()[0]
    measured = measure(subjects, texts[: params.num_rows], params, say)
    by_name = {(subject.model, subject.variant): result for subject, result in zip(subjects, measured, strict=True)}
    torch_teacher, int8_teacher = (by_name[TEACHER, variant.name] for variant in (TORCH, INT8))
    records = [
        _describe(subject, result, torch_teacher, int8_teacher, params)
        for subject, result in zip(subjects, measured, strict=True)
    ]
    num_rows = min(params.num_rows, len(texts))
    return BenchmarkRecord(
        threads=THREADS,
        batch_size=1,
        throughput_batch_size=params.throughput_batch_size,
        warmup_runs=params.warmup_runs,
        timed_runs=num_rows * params.rounds,
        rounds=params.rounds,
        num_rows=num_rows,
        load_average_before=load_average,
        environment=read_environment(),
        subjects=tuple(records),
    )


def measure(subjects: Sequence[Subject], texts: Sequence[str], params: BenchmarkParams, say: Say) -> list[TimedRuns]:
    """Run every round over every subject; the results are in the order of the subjects."""
    singles = [[text] for text in texts]
    size = params.throughput_batch_size
    flat = list(islice(cycle(texts), size * params.throughput_batches))
    batches = [flat[start : start + size] for start in range(0, len(flat), size)]
    latency: list[list[Timed]] = [[] for _ in subjects]
    throughput: list[list[Timed]] = [[] for _ in subjects]
    with ExitStack() as stack:
        workers, opened = [], []
        for subject in subjects:
            say(f"loading {subject.model} {subject.variant}")
            worker = stack.enter_context(Worker(subject))
            # One after the other, since simultaneous cold starts slow each other down.
            opened.append(worker.open(texts[0]))
            workers.append(worker)
        for worker in workers:
            # Every shape once, untimed, since the first run of a shape allocates memory.
            worker.time([*singles, *batches])
        for number in range(params.rounds):
            say(f"round {number + 1} of {params.rounds}")
            for index in _turns(len(workers), number):
                latency[index].append(workers[index].time(singles, params.warmup_runs))
                throughput[index].append(workers[index].time(batches, 1))
        memory = [worker.peak_memory_bytes() for worker in workers]
    return [TimedRuns(*result) for result in zip(latency, throughput, opened, memory, strict=True)]


def _turns(num_subjects: int, number: int) -> list[int]:
    """Return the order of the subjects in a round: each round starts one further, so that the order varies."""
    return [(index + number) % num_subjects for index in range(num_subjects)]


def _describe(
    subject: Subject, measured: TimedRuns, torch_teacher: TimedRuns, int8_teacher: TimedRuns, params: BenchmarkParams
) -> SubjectRecord:
    rounds = [timed.total_ms for timed in measured.latency]
    rows = params.throughput_batch_size * params.throughput_batches
    return SubjectRecord(
        model=subject.model,
        variant=subject.variant,
        sha256=subject.sha256,
        size_bytes=subject.path.stat().st_size,
        latency_ms=summarise(list(chain.from_iterable(rounds))),
        tokenise_ms=summarise(list(chain.from_iterable(timed.tokenise_ms for timed in measured.latency))),
        model_ms=summarise(list(chain.from_iterable(timed.model_ms for timed in measured.latency))),
        p50_ms_by_round=tuple(float(np.median(values)) for values in rounds),
        throughput_per_s=float(np.median([1000 * rows / sum(timed.total_ms) for timed in measured.throughput])),
        load_ms=measured.opened.load_ms,
        first_run_ms=measured.opened.first_run_ms,
        peak_memory_bytes=measured.peak_memory_bytes,
        speed_up_over_torch_teacher=speed_up([timed.total_ms for timed in torch_teacher.latency], rounds),
        speed_up_over_int8_teacher=speed_up([timed.total_ms for timed in int8_teacher.latency], rounds),
    )
