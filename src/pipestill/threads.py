"""Threads of the numeric libraries: their number, and the spin time of waiting threads (decision 12).

A stage that computes with torch imports this module first, since OpenMP reads its settings when it is loaded.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from joblib import cpu_count

from pipestill.errors import ParamsError

VARIABLE = "PIPESTILL_THREADS"
"""Variable by which a user sets the number of threads; it affects only speed and the last bits of sums."""
SPIN_COUNT = "1000"
"""Spins of a waiting libgomp thread before it sleeps: about 10 microseconds.

libgomp's default, 300,000, keeps a core busy for milliseconds after each parallel loop. Beside a process that needs
that core, a training step then takes three times as long.
"""

WINDOW = 16
"""Calls that `spread` keeps queued for each thread, so that no thread idles while a result is used."""

In = TypeVar("In")
Out = TypeVar("Out")


@cache
def num_threads() -> int:
    """Return the threads to compute with: PIPESTILL_THREADS, or else the physical cores that this process may use.

    A container's limit counts as cores: torch by itself would start a thread for each core of the host.

    Raises:
        ParamsError: the variable does not hold a whole number above 0.
    """
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return int(cpu_count(only_physical_cores=True))
    if not _is_count(asked):
        raise ParamsError(
            f"the environment variable {VARIABLE} is not a number of threads",
            found=repr(asked),
            expected="a whole number of at least 1",
            next_step=f"correct it, or unset it to use every core: unset {VARIABLE}",
        )
    return int(asked)


def configure(environ: MutableMapping[str, str]) -> None:
    """Set OpenMP's variables, except those that the user has set.

    Args:
        environ: environment of this process, from which torch reads them.
    """
    if not environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    asked = environ.get(VARIABLE, "")
    if _is_count(asked):
        environ["OMP_NUM_THREADS"] = asked
    elif not asked:
        environ.setdefault("OMP_NUM_THREADS", str(num_threads()))


def spread(function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Call a function on each item, in as many threads as there are cores; results come in the order of the items.

    For functions that release Python's lock while they compute, such as a run of an ONNX session. At most `WINDOW`
    calls per thread wait or hold a result, so that memory does not grow with the number of items.
    """
    waiting: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(num_threads()) as pool:
        try:
            for item in items:
                if len(waiting) == WINDOW * num_threads():
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _is_count(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


configure(os.environ)
