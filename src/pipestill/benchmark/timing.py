"""Timing calls with a clock passed as an argument, so that the arithmetic can be tested."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

Clock = Callable[[], int]
"""Function that returns monotonic nanoseconds."""
CLOCK: Clock = time.perf_counter_ns
_NS_PER_MS = 1_000_000


class Runnable(Protocol):
    """The two timed steps: text to tensors, and tensors to logits."""

    def encode(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 (each subject has its own tensors)
        """Tokenise one batch."""

    def run(self, batch: Any) -> object:  # noqa: ANN401
        """Compute one batch's logits."""


class Timed(NamedTuple):
    """Milliseconds of each run: tokenisation, model, and both together."""

    tokenise_ms: list[float]
    model_ms: list[float]

    @property
    def total_ms(self) -> list[float]:
        """Milliseconds of each run from text to logits."""
        return [tokenise + model for tokenise, model in zip(self.tokenise_ms, self.model_ms, strict=True)]


def time_batches(subject: Runnable, batches: Sequence[Sequence[str]], clock: Clock) -> Timed:
    """Time each batch once, from text to logits."""
    tokenise_ms, model_ms = [], []
    for texts in batches:
        start = clock()
        batch = subject.encode(texts)
        encoded = clock()
        subject.run(batch)
        end = clock()
        tokenise_ms.append((encoded - start) / _NS_PER_MS)
        model_ms.append((end - encoded) / _NS_PER_MS)
    return Timed(tokenise_ms, model_ms)
