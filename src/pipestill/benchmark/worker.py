"""One subject in a process of its own, so that memory and threads are its own too.

The parent sends a request, the worker answers it; nothing runs in between. The module imports nothing heavy: what the
worker loads is part of its cold start.
"""

import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from pipestill.benchmark.subjects import Subject
    from pipestill.benchmark.timing import Runnable

THREADS = 1
"""Of torch, ONNX Runtime and the libraries under them: latency on one core is what is compared."""


class Request(NamedTuple):
    """What the parent asks for: an untimed or timed pass over batches, or the peak memory."""

    kind: Literal["time", "memory", "stop"]
    batches: Sequence[Sequence[str]] = ()
    warmup_runs: int = 0


class Opened(NamedTuple):
    """The first answer: milliseconds to import and load, and those of the first text."""

    load_ms: float
    first_run_ms: float


class Failed(NamedTuple):
    """The answer of a worker that cannot go on."""

    error: str


def work(connection: Connection, subject: "Subject", first_text: str) -> None:
    """Open a subject and answer requests until told to stop."""
    # Read when the libraries load, so set before they do.
    os.environ.update(OMP_NUM_THREADS=str(THREADS), RAYON_NUM_THREADS=str(THREADS), TOKENIZERS_PARALLELISM="false")
    try:
        runnable = _open(connection, subject, first_text)
        while (request := connection.recv()).kind != "stop":
            connection.send(_answer(runnable, request))
    except EOFError:
        return  # the parent is gone
    except Exception as error:  # noqa: BLE001 (whatever it is, the parent reports it)
        connection.send(Failed(f"{type(error).__name__}: {error}"))


def _open(connection: Connection, subject: "Subject", first_text: str) -> "Runnable":
    start = time.perf_counter_ns()
    from pipestill.benchmark.subjects import open_subject
    from pipestill.benchmark.timing import CLOCK, time_batches

    runnable = open_subject(subject, THREADS)
    load_ms = (time.perf_counter_ns() - start) / 1e6
    connection.send(Opened(load_ms, time_batches(runnable, [[first_text]], CLOCK).total_ms[0]))
    return runnable


def _answer(runnable: "Runnable", request: Request) -> object:
    from pipestill.benchmark.footprint import peak_memory_bytes
    from pipestill.benchmark.timing import CLOCK, time_batches

    if request.kind == "memory":
        return peak_memory_bytes()
    for index in range(request.warmup_runs):
        runnable.run(runnable.encode(request.batches[index % len(request.batches)]))
    return time_batches(runnable, request.batches, CLOCK)
