"""A stage's side of the tracking process (tracking/server.py): it sends everything that the process writes to MLflow.

`python -m pipestill.repro` names the process in an environment variable; nobody else sets it. In a stage that is served
like this mlflow is not imported.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import NamedTuple

from pipestill.tracking.deadline import within
from pipestill.tracking.experiment import experiment_name
from pipestill.tracking.live import Arguments, Opening, Point
from pipestill.tracking.store import Store, tracking_uri
from pipestill.tracking.writer import Writer

VARIABLE = "PIPESTILL_TRACKING_PROCESS"
"""The variable that holds an Address as JSON."""
CONNECT_S = 2.0
"""Seconds that a stage waits for the tracking process to answer."""
RETRY_S = 0.02
ANSWER_S = 0.5
"""Seconds that the end of a stage waits for the id of its run: a first stage may end before mlflow is imported."""


class Address(NamedTuple):
    """Address of a tracking process.

    Attributes:
        path: path of its socket.
        key: secret that both sides must know, in hexadecimal digits.
        store: the store that it writes to, as `store_of` names it.
        started_s: time in seconds since 1970 at which it has started, or never will.
    """

    path: str
    key: str
    store: str
    started_s: float

    def environment(self) -> dict[str, str]:
        """Return the environment variable that hands the address to the process and to the stages."""
        return {VARIABLE: json.dumps(self)}


def read_address() -> Address | None:
    """Read the address from the environment; None where no tracking process runs."""
    text = os.environ.get(VARIABLE)
    return Address(*json.loads(text)) if text else None


def store_of(home: Path) -> str:
    """Name the store and the experiment that the runs of a repository go to."""
    return f"{tracking_uri(home.resolve())} {experiment_name()}"


class RemoteRun:
    """A run that the tracking process writes; the methods are those of LiveRun, and none raises.

    A message after the first names a method of LiveRun and its arguments.
    """

    def __init__(self, connection: Connection, opening: Opening) -> None:
        self._connection = connection
        self._writer = Writer(first=partial(connection.send, opening))
        self._run_id: str | None = None

    @property
    def run_id(self) -> str | None:
        """Return the run's id; None where it could not be opened, or is not open within ANSWER_S."""
        with suppress(EOFError, OSError):
            if self._run_id is None and self._connection.poll(ANSWER_S):
                self._run_id = self._connection.recv()
        return self._run_id

    def submit(self, operation: Callable[[Store, str, *Arguments], object], *arguments: *Arguments) -> None:
        """Send an operation: a function of a module, which `pickle` stores by name, and its arguments."""
        self._send("submit", operation, *arguments)

    def add_points(self, points: Iterable[Point]) -> None:
        """Send metric values."""
        self._send("add_points", list(points))

    def close(self, status: str, end_time_ms: int) -> bool:
        """Send the end of the run; the tracking process writes what is left while the next stage starts.

        Args:
            status: FINISHED, FAILED or KILLED.
            end_time_ms: time at which the stage ended.

        Returns:
            True if everything was sent; False after at most STALL_S without progress.
        """
        self._send("close", status, end_time_ms)
        return self._writer.finish()

    def _send(self, method: str, *arguments: object) -> None:
        self._writer.submit(partial(self._connection.send, (method, arguments)))


def open_remote_run(opening: Opening) -> RemoteRun | None:
    """Hand a run to the tracking process; None if there is none, or it writes to another store or does not answer."""
    address = read_address()
    if address is None or address.store != store_of(opening.home):
        return None
    connection = connect(address)
    return None if connection is None else RemoteRun(connection, opening)


def connect(address: Address) -> Connection | None:
    """Connect to a tracking process; None if it does not answer within CONNECT_S."""
    try:
        return within(CONNECT_S, lambda: _connect(address))  # a stopped process accepts and never answers
    except TimeoutError:
        return None


def _connect(address: Address) -> Connection | None:
    while True:
        try:
            return Client(address.path, authkey=bytes.fromhex(address.key))
        except FileNotFoundError:
            if time.time() > address.started_s:
                return None
            time.sleep(RETRY_S)
        except (OSError, EOFError, AuthenticationError):
            return None
