"""The tracking process of `make repro`: it imports mlflow once, and writes the live runs of all stages.

Importing mlflow takes two seconds or three, which each of twenty stages would spend anew. A stage that finds the
process connects to it, sends its operations and does not wait; the process holds one `LiveRun` for each connection. A
stage that does not find it, as under plain `dvc repro`, writes its run by itself.

The process ends when its standard input does, so with the one that started it, however that ends.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from pipestill.tracking.live import LiveRun, Operation, Point, is_live, open_live_run, say, say_offline
from pipestill.tracking.store import open_store

ADDRESS, KEY = "PIPESTILL_TRACKING_ADDRESS", "PIPESTILL_TRACKING_KEY"
"""Variables by which `make repro` tells its stages where the process listens, and the key that it asks for."""
END_S = 15.0
"""Seconds that the process gets at the end to write what is queued; `sync` completes the rest."""

Event = Literal["connected", "ended"]
GONE = (OSError, EOFError)
"""Errors of a connection whose other end is gone."""


class ServedRun:
    """A live run that another process writes. Every method returns at once, and none raises."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._off = False
        self._run_id: str | None = None

    @property
    def run_id(self) -> str | None:
        """Id of the run; None while it is not open."""
        with suppress(*GONE):
            if self._run_id is None and self._connection.poll():
                self._run_id = self._connection.recv()
        return self._run_id

    def submit(self, operation: Operation, *arguments: object) -> None:
        """Send one operation, a function of a module, and its arguments."""
        self._send("submit", operation, *arguments)

    def add_points(self, points: Iterable[Point]) -> None:
        """Send metric values."""
        self._send("add_points", list(points))

    def close(self, status: str, end_time_ms: int) -> None:
        """Send the run's end; the other process writes what is left."""
        self._send("close", status, end_time_ms)
        self._connection.close()

    def _send(self, method: str, *arguments: object) -> None:
        with self._lock:
            if self._off:
                return
            try:
                self._connection.send((method, arguments))
            except GONE as error:
                self._off = True
                say_offline(error)


def connect(
    home: Path, name: str, start_time_ms: int, tags: Mapping[str, str], params: Mapping[str, str]
) -> ServedRun | None:
    """Open a run in the tracking process; None where there is none.

    Args:
        home: root of the main repository.
        name: name of the run in the UI.
        start_time_ms: time at which the stage started.
        tags: tags of the run.
        params: params of the run.
    """
    address, key = os.environ.get(ADDRESS), os.environ.get(KEY)
    if not address or not key:
        return None
    try:
        connection = Client(address, authkey=bytes.fromhex(key))
        connection.send((home, name, start_time_ms, dict(tags), dict(params)))
    except (*GONE, ValueError, AuthenticationError):  # ended, or another process has its address
        return None
    return ServedRun(connection)


@contextmanager
def tracking_process() -> Iterator[Mapping[str, str]]:
    """Run the tracking process while the block runs, and wait until it has written what is queued.

    Yields:
        Environment variables for the stages; none where `PIPESTILL_TRACKING=later`.
    """
    if not is_live():
        yield {}
        return
    command = (sys.executable, "-m", "pipestill.tracking", "serve")
    with tempfile.TemporaryDirectory(prefix="pipestill-") as folder:
        # A stage that begins before the process listens writes its run by itself.
        variables = {ADDRESS: f"{folder}/tracking", KEY: secrets.token_hex(32)}
        # In a session of its own: a terminal's Ctrl-C ends the stages, whose runs this process has yet to close.
        process = subprocess.Popen(  # noqa: S603 (our own command)
            command, stdin=subprocess.PIPE, env=os.environ | variables, start_new_session=True
        )
        try:
            yield variables
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(2 * END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def serve(home: Path) -> int:
    """Listen at ADDRESS, and write the runs of all who connect until standard input ends.

    mlflow is imported with the first connection, in the main thread: a `make repro` that runs no stage does not pay.

    Args:
        home: root of the main repository.
    """
    listener = Listener(os.environ[ADDRESS], authkey=bytes.fromhex(os.environ[KEY]))
    events: SimpleQueue[Event] = SimpleQueue()
    store_is_open = threading.Event()
    handlers: list[threading.Thread] = []
    for work in (lambda: _accept(listener, events, store_is_open, handlers), lambda: _wait_for_end(events)):
        threading.Thread(target=work, daemon=True).start()
    if events.get() == "connected":
        with suppress(Exception):  # the run opens it again, and prints what is wrong
            open_store(home)
        store_is_open.set()
        while events.get() != "ended":
            pass
    deadline_s = time.monotonic() + END_S
    for handler in handlers:
        handler.join(max(0.0, deadline_s - time.monotonic()))
    return 0


def _wait_for_end(events: "SimpleQueue[Event]") -> None:
    sys.stdin.read()
    events.put("ended")


def _accept(
    listener: Listener,
    events: "SimpleQueue[Event]",
    store_is_open: threading.Event,
    handlers: list[threading.Thread],
) -> None:
    while True:
        try:
            connection = listener.accept()
        except (AuthenticationError, EOFError, ConnectionError) as error:
            say(f"a connection was refused: {type(error).__name__}")
            continue
        handler = threading.Thread(target=_handle, args=(connection, store_is_open), daemon=True)
        handlers.append(handler)
        handler.start()
        events.put("connected")


def _handle(connection: "Connection[Any, Any]", store_is_open: threading.Event) -> None:
    """Write one stage's run, from its first message to `close`; a connection that ends without it was killed."""
    store_is_open.wait()
    run: LiveRun | None = None
    with connection, suppress(*GONE):
        run = open_live_run(*connection.recv())
        with suppress(*GONE):
            connection.send(run.run_id if run else None)
        while True:
            method, arguments = connection.recv()
            if run is not None:
                getattr(run, method)(*arguments)
            if method == "close":
                return
    if run is not None:
        run.leave()
