"""A thread that writes in order, whose errors never reach the stage; and the lines that tracking prints."""

import queue
import sys
import threading
import time
from collections.abc import Callable

from pipestill.errors import PipestillError
from pipestill.redaction import redacted

STALL_S = 4.0
"""Seconds that the end of a stage waits for one action."""
FLUSH_S = 1.0
MAX_REASON_CHARS = 300

Action = Callable[[], object]


class Writer:
    """A queue of actions and the thread that runs them.

    An error, or an action that takes too long at the end, turns it off with one warning; no method raises.

    Args:
        first: action that runs before all others.
        flush: action that runs before each other one, and about once a second between them.
    """

    def __init__(self, first: Action, flush: Action = lambda: None) -> None:
        self._flush = flush
        self._actions: queue.Queue[Action | None] = queue.Queue()
        self._progress_s = time.monotonic()
        self._off = False
        self._thread = threading.Thread(target=self._work, args=(first,), name="tracking", daemon=True)
        self._thread.start()

    def submit(self, action: Action) -> None:
        """Queue one action, and return at once."""
        if not self._off:
            self._actions.put(action)

    def finish(self) -> bool:
        """Wait for the actions queued so far; later ones are not run.

        Returns:
            True if all of them succeeded; False after at most STALL_S without progress.
        """
        self._actions.put(None)
        self._progress_s = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(timeout=0.02)
            if time.monotonic() - self._progress_s > STALL_S:
                self._turn_off(TimeoutError(f"no answer within {STALL_S:g} s"))
                return False
        return not self._off

    def _work(self, first: Action) -> None:
        self._attempt(first)
        while True:
            try:
                action = self._actions.get(timeout=FLUSH_S)
            except queue.Empty:
                self._attempt(self._flush)
                continue
            self._attempt(self._flush)
            if action is None:
                return
            self._attempt(action)

    def _attempt(self, action: Action) -> None:
        if self._off:
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 (whatever it is, the stage goes on)
            self._turn_off(error)
        self._progress_s = time.monotonic()

    def _turn_off(self, error: Exception) -> None:
        if not self._off:
            self._off = True
            say_offline(error)


def say(text: str) -> None:
    """Print one line about tracking, without credentials."""
    print(f"tracking: {redacted(text)}", file=sys.stderr, flush=True)


def say_offline(error: Exception) -> None:
    """Warn that from here on only the run record is written."""
    reason = redacted(_reason(error)).strip().splitlines()[0]
    say(f"MLflow is out of reach ({reason[:MAX_REASON_CHARS]}); the run record is kept, `sync` uploads it later")


def _reason(error: Exception) -> str:
    if isinstance(error, PipestillError) and error.found is not None:
        return f"{error.what}: {error.found}"
    return str(error).strip() or type(error).__name__
