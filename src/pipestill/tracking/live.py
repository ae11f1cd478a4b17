"""The live MLflow run: logged values appear in the UI at once, and its errors never reach the stage.

A run is opened in the main thread; everything after goes through a queue to one thread. An error, or an operation that
takes too long at the end, turns the live run off with one warning; the run record keeps everything for `sync`.
"""

import hashlib
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipestill.tracking.store import Store, open_store

SWITCH, LIVE, LATER = "PIPESTILL_TRACKING", "live", "later"
"""With `later` a stage writes its run record alone, and saves the seconds that importing mlflow takes."""
STALL_S = 4.0
"""Seconds that the end of a stage waits for one operation."""
FLUSH_S = 1.0
MAX_PARAM_CHARS = 6000
MAX_TAG_CHARS = 8000
MAX_NAME_CHARS = 250
BATCH_SIZE = 100
ONE_AT_A_TIME = threading.Lock()
"""Held by the operations of all runs of a process: two that log the same data set at once fail in mlflow."""

Operation = Callable[..., None]
"""A function of a module that takes the store, the id of the run, and the arguments given with it."""


class Point(NamedTuple):
    """One logged metric value."""

    name: str
    value: float
    step: int
    time_ms: int


def safe_name(name: str) -> str:
    """Make a name that mlflow accepts: `@` and other signs become `-`, and absolute or climbing paths are mended."""
    parts = [part if part not in {".", ".."} else "_" for part in name.split("/") if part]
    return re.sub(r"[^/\w.\- :]", "-", "/".join(parts))[:MAX_NAME_CHARS]


def shorten(text: str, limit: int) -> str:
    """Cut a text to mlflow's limit; a cut text ends in the whole text's SHA-256, so that unequal texts differ."""
    if len(text) <= limit:
        return text
    mark = f"... sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return text[: limit - len(mark)] + mark


def now_ms() -> int:
    """Return milliseconds since 1970, as mlflow counts time."""
    return time.time_ns() // 1_000_000


def say(text: str) -> None:
    """Print one line about tracking."""
    print(f"tracking: {text}", file=sys.stderr, flush=True)


class LiveRun:
    """One MLflow run being written. Every method returns at once, and none raises."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.run_id = run_id
        self._store = store
        self._points: list[Point] = []
        self._points_lock = threading.Lock()
        self._operations: queue.Queue[tuple[Operation, tuple[object, ...]] | None] = queue.Queue()
        self._progress_s = time.monotonic()
        self._off = False
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation, *arguments: object) -> None:
        """Queue one operation on the store, with its arguments; operations run in order."""
        if not self._off:
            self._operations.put((operation, arguments))

    def add_points(self, points: Iterable[Point]) -> None:
        """Queue metric values; they are written together about once a second."""
        with self._points_lock:
            self._points.extend(points)

    def close(self, status: str, end_time_ms: int) -> bool:
        """Write what is left and end the run.

        Args:
            status: FINISHED, FAILED or KILLED.
            end_time_ms: time at which the stage ended.

        Returns:
            True if everything reached the store; False after at most STALL_S without progress.
        """
        self.submit(end_run, status, end_time_ms)
        self._operations.put(None)
        self._progress_s = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(timeout=0.02)
            if time.monotonic() - self._progress_s > STALL_S:
                self._turn_off(TimeoutError(f"no answer within {STALL_S:g} s"))
                return False
        return not self._off

    def leave(self) -> None:
        """Write what is queued and leave the run open, as a killed stage does; `sync` ends it."""
        self._operations.put(None)

    def _work(self) -> None:
        while True:
            try:
                operation = self._operations.get(timeout=FLUSH_S)
            except queue.Empty:
                self._attempt(self._flush)
                continue
            self._attempt(self._flush)
            if operation is None:
                return
            self._attempt(*operation)

    def _attempt(self, operation: Operation, arguments: tuple[object, ...] = ()) -> None:
        if self._off:
            return
        try:
            with ONE_AT_A_TIME:
                operation(self._store, self.run_id, *arguments)
        except Exception as error:  # noqa: BLE001 (whatever it is, the stage goes on)
            self._turn_off(error)
        self._progress_s = time.monotonic()

    def _flush(self, store: Store, run_id: str) -> None:
        with self._points_lock:
            points, self._points = self._points, []
        write_points(store, run_id, points)

    def _turn_off(self, error: Exception) -> None:
        if not self._off:
            self._off = True
            say_offline(error)


def is_live() -> bool:
    """Return whether stages open an MLflow run at once, or leave it to `sync`; see `SWITCH`."""
    value = os.environ.get(SWITCH, LIVE)
    if value not in {LIVE, LATER}:
        say(f"{SWITCH} is {value!r} and is ignored: set it to {LIVE} or {LATER}")
    return value != LATER


def say_offline(error: Exception) -> None:
    """Warn that from here on only the run record is written."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    say(f"MLflow is out of reach ({shorten(reason, 300)}); the run record is kept, `sync` uploads it later")


def open_live_run(
    home: Path, name: str, start_time_ms: int, tags: Mapping[str, str], params: Mapping[str, str]
) -> LiveRun | None:
    """Open a run; on failure print a warning and return None.

    Args:
        home: root of the main repository.
        name: name of the run in the UI.
        start_time_ms: time at which the stage started.
        tags: tags of the run; names and values are fitted to mlflow's rules here.
        params: params of the run, fitted likewise.
    """
    try:
        store = open_store(home)
        with ONE_AT_A_TIME:
            run_id = create_run(store, name, start_time_ms, tags, params)
        return LiveRun(store, run_id)
    except Exception as error:  # noqa: BLE001 (whatever it is, the stage goes on)
        say_offline(error)
        return None


def end_run(store: Store, run_id: str, status: str, end_time_ms: int) -> None:
    """End a run with its status: FINISHED, FAILED or KILLED."""
    store.client.set_terminated(run_id, status, end_time_ms)


def create_run(store: Store, name: str, start_time_ms: int, tags: Mapping[str, str], params: Mapping[str, str]) -> str:
    """Create a run with its tags and params, and return its id; mlflow's errors pass through."""
    fitted = {safe_name(key): shorten(value, MAX_TAG_CHARS) for key, value in tags.items()}
    run = store.client.create_run(store.experiment_id, start_time=start_time_ms, run_name=name, tags=fitted)
    run_id = str(run.info.run_id)
    write_params(store, run_id, params)
    return run_id


def write_params(store: Store, run_id: str, params: Mapping[str, str]) -> None:
    """Write params; names and values are fitted to mlflow's rules."""
    from mlflow.entities import Param

    entries = [Param(safe_name(key), shorten(value, MAX_PARAM_CHARS)) for key, value in params.items()]
    for batch in batches(entries):
        store.client.log_batch(run_id, params=batch)


def write_points(store: Store, run_id: str, points: Iterable[Point]) -> None:
    """Write metric values in as few requests as mlflow allows."""
    from mlflow.entities import Metric

    metrics = [Metric(safe_name(point.name), point.value, point.time_ms, point.step) for point in points]
    for batch in batches(metrics, size=1000):
        store.client.log_batch(run_id, metrics=batch)


def batches(items: list[Any], size: int = BATCH_SIZE) -> Iterable[list[Any]]:
    """Cut a list into pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
