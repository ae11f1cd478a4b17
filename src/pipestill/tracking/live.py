"""The live MLflow run: logged values appear in the UI at once, and its errors never reach the stage.

Everything goes through a queue to one thread (tracking/writer.py); the run record keeps everything for `sync`.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, TypeVarTuple

from pipestill.tracking.deadline import within
from pipestill.tracking.faults import store_errors
from pipestill.tracking.store import Store, open_store, opening_time_s, tracking_uri
from pipestill.tracking.writer import Writer

MAX_PARAM_CHARS = 6000
MAX_TAG_CHARS = 8000
MAX_NAME_CHARS = 250
BATCH_SIZE = 100

Arguments = TypeVarTuple("Arguments")


class Opening(NamedTuple):
    """Content of a run at its start.

    Attributes:
        home: root of the main repository.
        name: name of the run in the UI.
        start_time_ms: time at which the stage started.
        tags: tags of the run; names and values are fitted to mlflow's rules when it is opened.
        params: params of the run, fitted likewise.
    """

    home: Path
    name: str
    start_time_ms: int
    tags: dict[str, str]
    params: dict[str, str]


class OpenRun(NamedTuple):
    """A run in a store."""

    store: Store
    run_id: str


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


class LiveRun:
    """One MLflow run being written. `submit` and `add_points` return at once, and no method raises.

    Args:
        open_run: function that opens the run; the writing thread calls it.
        turn: lock that runs of one process share, since two that log the same data set at once fail in mlflow.
    """

    def __init__(self, open_run: Callable[[], OpenRun], turn: AbstractContextManager[object] | None = None) -> None:
        self._open_run = open_run
        self._turn = turn or threading.Lock()
        self._run: OpenRun | None = None
        self._opened = threading.Event()
        self._points: list[Point] = []
        self._points_lock = threading.Lock()
        self._writer = Writer(first=self._open, flush=self._flush)

    @property
    def run_id(self) -> str | None:
        """Return the run's id once it is open; None where it could not be opened."""
        self._opened.wait()
        return self._run.run_id if self._run else None

    def submit(self, operation: Callable[[Store, str, *Arguments], object], *arguments: *Arguments) -> None:
        """Queue `operation(store, run_id, *arguments)`; operations run in order."""
        self._writer.submit(lambda: self._write(operation, *arguments))

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
        return self.leave()

    def leave(self) -> bool:
        """Write what is left and leave the run RUNNING; returns the same as `close`."""
        self._opened.wait()  # an import of mlflow may take longer than one operation
        return self._writer.finish()

    def _open(self) -> None:
        try:
            self._run = self._open_run()
        finally:
            self._opened.set()

    def _flush(self) -> None:
        with self._points_lock:
            points, self._points = self._points, []
        self._write(write_points, points)

    def _write(self, operation: Callable[[Store, str, *Arguments], object], *arguments: *Arguments) -> None:
        if self._run:
            with self._turn:
                operation(*self._run, *arguments)


def open_run(opening: Opening) -> OpenRun:
    """Open a run in the store of its repository.

    Raises:
        StoreError: the store cannot be reached or used.
    """
    store = open_store(opening.home)

    def create() -> OpenRun:
        return OpenRun(store, create_run(store, opening.name, opening.start_time_ms, opening.tags, opening.params))

    uri = tracking_uri(opening.home)
    with store_errors(uri):
        return within(opening_time_s(uri), create)


def create_run(store: Store, name: str, start_time_ms: int, tags: Mapping[str, str], params: Mapping[str, str]) -> str:
    """Create a run with its tags and params, and return its id; mlflow's errors pass through."""
    fitted = {safe_name(key): shorten(value, MAX_TAG_CHARS) for key, value in tags.items()}
    run = store.client.create_run(store.experiment_id, start_time=start_time_ms, run_name=name, tags=fitted)
    run_id = str(run.info.run_id)
    write_params(store, run_id, params)
    return run_id


def end_run(store: Store, run_id: str, status: str, end_time_ms: int) -> None:
    """End a run as FINISHED, FAILED or KILLED."""
    store.client.set_terminated(run_id, status, end_time_ms)


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
