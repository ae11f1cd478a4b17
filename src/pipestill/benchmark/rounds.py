"""The parent's side: subjects take turns in rounds, so that a machine that slows down slows all of them down."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, cycle, islice
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from pipestill.benchmark.params import BenchmarkParams
from pipestill.benchmark.records import BenchmarkRecord, SubjectRecord
from pipestill.benchmark.statistics import speed_up, summarise
from pipestill.benchmark.subjects import Subject
from pipestill.benchmark.timing import Timed
from pipestill.benchmark.worker import THREADS, Failed, Opened, Request, work
from pipestill.environment import read_environment
from pipestill.errors import ModelError

Say = Callable[[str], None]


class Measured(NamedTuple):
    """The timed runs of one subject by round, and its cold start and memory."""

    latency: list[Timed]
    throughput: list[Timed]
    opened: Opened
    peak_memory_bytes: int


class Worker:
    """A subject's process, as the parent sees it."""

    def __init__(self, subject: Subject, connection: Connection, process: Any) -> None:  # noqa: ANN401 (spawn context)
        self.subject, self.connection, self.process = subject, connection, process

    def receive(self) -> Any:  # noqa: ANN401 (each request has its own answer)
        """Wait for the answer to the last request.

        Raises:
            ModelError: the worker failed or died.
        """
        try:
            answer = self.connection.recv()
        except (EOFError, ConnectionError):
            answer = Failed("the process ended without an answer")
        if isinstance(answer, Failed):
            raise ModelError(
                f"{self.subject.model} ({self.subject.variant}) cannot be timed",
                found=answer.error,
                next_step=f"check {self.subject.path}; `dvc repro` writes it anew",
            )
        return answer

    def ask(self, request: Request) -> Any:  # noqa: ANN401
        """Send a request and wait for its answer."""
        self.connection.send(request)
        return self.receive()


def run_benchmark(
    subjects: Sequence[Subject], texts: Sequence[str], params: BenchmarkParams, say: Say
) -> BenchmarkRecord:
    """Time subjects on real rows.

    Args:
        subjects: what to time; the PyTorch teacher and its int8 file must be among them.
        texts: real rows; the first `num_rows` are used.
        params: rows, rounds and batch sizes.
        say: is told what is being done.

    Returns:
        The figures, ratios within this run, and the machine.

    Raises:
        ModelError: there are no rows, or a subject cannot be loaded or run.
    """
    if not texts:
        raise ModelError("there are no rows to time on")
    load_average = os.getloadavg()[0]
    measured = measure(subjects, texts[: params.num_rows], params, say)
    by_name = {(subject.model, subject.variant): result for subject, result in zip(subjects, measured, strict=True)}
    torch_teacher, int8_teacher = by_name["teacher", "torch"], by_name["teacher", "onnx_int8"]
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


def measure(subjects: Sequence[Subject], texts: Sequence[str], params: BenchmarkParams, say: Say) -> list[Measured]:
    """Run every round over every subject; the results are in the order of the subjects."""
    singles = [[text] for text in texts]
    stream = islice(cycle(texts), params.throughput_batch_size * params.throughput_batches)
    flat = list(stream)
    size = params.throughput_batch_size
    batches = [flat[start : start + size] for start in range(0, len(flat), size)]
    latency: list[list[Timed]] = [[] for _ in subjects]
    throughput: list[list[Timed]] = [[] for _ in subjects]
    with ExitStack() as stack:
        workers, opened = [], []
        for subject in subjects:
            say(f"loading {subject.model} {subject.variant}")
            worker = stack.enter_context(_worker(subject, texts[0]))
            # One after the other: a cold start beside another one is slower than it is.
            opened.append(worker.receive())
            workers.append(worker)
        for worker in workers:
            # Every shape once, untimed: a first run of a shape allocates.
            worker.ask(Request("time", list(chain(singles, batches))))
        for number in range(params.rounds):
            say(f"round {number + 1} of {params.rounds}")
            for index in _turns(len(workers), number):
                latency[index].append(workers[index].ask(Request("time", singles, params.warmup_runs)))
                throughput[index].append(workers[index].ask(Request("time", batches, 1)))
        memory = [worker.ask(Request("memory")) for worker in workers]
    return [Measured(*result) for result in zip(latency, throughput, opened, memory, strict=True)]


def _turns(num_subjects: int, number: int) -> list[int]:
    """The order of the subjects in a round: each round starts one further, so that none always follows another."""
    return [(index + number) % num_subjects for index in range(num_subjects)]


@contextmanager
def _worker(subject: Subject, first_text: str) -> Iterator[Worker]:
    # Spawned, not forked: a forked process would count the parent's memory as its own.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, subject, first_text), daemon=True)
    process.start()
    theirs.close()
    worker = Worker(subject, ours, process)
    try:
        yield worker
    finally:
        ours.close()  # the worker sees the end of its requests
        process.join(timeout=5)
        if process.is_alive():
            process.kill()
            process.join()


def _describe(
    subject: Subject, measured: Measured, torch_teacher: Measured, int8_teacher: Measured, params: BenchmarkParams
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
