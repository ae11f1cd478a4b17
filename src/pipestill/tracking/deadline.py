"""A deadline for an action that may wait for another machine or process longer than anyone has time for."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def within(seconds: float, action: Callable[[], Result]) -> Result:
    """Run an action in a thread of its own and return its result; an action that takes longer is left to itself.

    A timeout of a socket bounds the wait for the next byte only: a server that sends one now and then is never done.

    Args:
        seconds: time in seconds that the whole action may take.
        action: function to call.

    Raises:
        TimeoutError: the action takes longer. Its own exceptions pass through.
    """
    answer: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((action(), None))
        except BaseException as error:  # noqa: BLE001 (raised in the calling thread)
            answer.put((None, error))

    threading.Thread(target=run, name="within", daemon=True).start()
    try:
        result, error = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error it is the action's
