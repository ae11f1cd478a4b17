"""One subject in a process of its own: `python -m pipestill.benchmark.worker`.

Requests come on standard input and answers go to standard output, one JSON value a line; nothing runs in between. Every
import counts in the subject's cold start and memory, so this module and its packages import no heavy library. The
process ends with its input.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from pipestill.benchmark.footprint import peak_memory_bytes
from pipestill.benchmark.timing import CLOCK, Runnable, time_batches
from pipestill.variants import TORCH

THREADS = 1
"""Threads of torch, ONNX Runtime and their libraries, since the benchmark compares latency on one core."""


class TorchSubject:
    """A PyTorch classifier, run without gradients in fp32."""

    def __init__(self, folder: Path, threads: int) -> None:
        from pipestill.teacher import forward, load_classifier, use_threads

        use_threads(threads)
        self._classifier = load_classifier(folder)
        self._forward = forward

    def encode(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 (transformers has no types)
        """Tokenise texts into one batch, padded to its longest text."""
        return self._classifier.tokenizer(
            list(texts), truncation=True, padding=True, return_token_type_ids=False, return_tensors="pt"
        )

    def run(self, batch: Any) -> object:  # noqa: ANN401
        """Compute the logits of one encoded batch."""
        return self._forward(self._classifier, batch)


def open_subject(variant: str, folder: Path, file: str) -> Runnable:
    """Load a subject, importing only the modules that it needs."""
    if variant == TORCH.name:
        return TorchSubject(folder, THREADS)
    from pipestill.predict import Classifier

    return Classifier(folder, file=file, threads=THREADS)


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until the input ends; the first one opens the subject.

    An answer is {"result": ...}, or {"error": ...} after which the subject cannot go on.
    """
    runnable: Runnable | None = None
    for line in requests:
        try:
            request = json.loads(line)
            if runnable is None:
                runnable, result = _open(request)
            else:
                result = _answer(runnable, request)
            answer = {"result": result}
        except Exception as error:  # noqa: BLE001 (whatever it is, the parent reports it)
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()
        if "error" in answer:
            return


def _open(request: dict[str, Any]) -> tuple[Runnable, object]:
    start = time.perf_counter_ns()
    runnable = open_subject(request["variant"], Path(request["folder"]), request["file"])
    load_ms = (time.perf_counter_ns() - start) / 1e6
    first = time_batches(runnable, [[request["first_text"]]], CLOCK)
    return runnable, {"load_ms": load_ms, "first_run_ms": first.total_ms[0]}


def _answer(runnable: Runnable, request: dict[str, Any]) -> object:
    """Time a pass over batches after untimed ones, or without batches read the peak memory."""
    if "batches" not in request:
        return peak_memory_bytes()
    batches = request["batches"]
    for index in range(request["warmup_runs"]):
        runnable.run(runnable.encode(batches[index % len(batches)]))
    return time_batches(runnable, batches, CLOCK)._asdict()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the parent's terminal; the parent ends its workers itself
    # Answers have a pipe of their own; prints of libraries go to standard error.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as pipe:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin, pipe)
