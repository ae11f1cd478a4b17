"""The tracking process of one `make repro`: it imports mlflow once, and writes the runs of all stages.

python -m pipestill.tracking.server    as `pipestill.repro` starts it; stages reach it by tracking/remote.py

Each connection is the run of one stage, written by the LiveRun that a stage without this process has of its own. The
process ends with the one that started it: standard input ends then, however that process ended.
"""

import math
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from pipestill.tracking.identity import home
from pipestill.tracking.live import LiveRun, Opening, OpenRun, open_run
from pipestill.tracking.process import GRACE_S
from pipestill.tracking.remote import read_address
from pipestill.tracking.store import open_store
from pipestill.tracking.writer import say

SYNC = "sync"
"""The line on standard input that asks for a sync after the last run."""
POLL_S = 0.5
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that a terminal or a supervisor sends to all processes at once. This one is started with them ignored: it has
the ends of the stages' runs to write."""


class TrackingServer:
    """Server of the runs of stages, a thread for each connection.

    Args:
        listener: socket that stages connect to.
        key: secret of the listener.
    """

    def __init__(self, listener: Listener, key: bytes) -> None:
        self._listener = listener
        self._key = key
        self._importing = threading.Lock()
        self._turn = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._last_s = math.inf
        threading.Thread(target=self._accept, name="accept", daemon=True).start()

    def warm_up(self) -> None:
        """Import mlflow and open the store, while the first stage is on its way; each run tells of its own errors."""
        with self._importing, suppress(Exception):
            open_store(home())

    def finish(self) -> None:
        """Write what is queued. A stage that is still there after GRACE_S is left to its run record."""
        # Connections are accepted in turn: behind this one none is left that came before.
        with suppress(OSError, EOFError, AuthenticationError):
            Client(self._listener.address, authkey=self._key).close()
        self._last_s = time.monotonic() + GRACE_S
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except (EOFError, ConnectionError, AuthenticationError):  # the stage died on its way
                continue
            except OSError:  # the listener is closed
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="stage", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: Connection) -> None:
        with connection:
            opening = self._receive(connection)
            if opening is None:
                return
            live = LiveRun(partial(self._open, connection, opening), self._turn)
            while message := self._receive(connection):
                method, arguments = message
                getattr(live, method)(*arguments)
                if method == "close":
                    return
            live.leave()

    def _receive(self, connection: Connection) -> Any:  # noqa: ANN401 (an Opening, or a method and its arguments)
        """Wait for a message; None once the stage is gone, and GRACE_S after the end."""
        try:
            while not connection.poll(POLL_S):
                if time.monotonic() > self._last_s:
                    return None
            return connection.recv()
        except Exception:  # noqa: BLE001 (gone, or of other code than ours: the stage sees its connection end)
            return None

    def _open(self, connection: Connection, opening: Opening) -> OpenRun:
        """Open a run and answer with its id; an error is answered with None, and raised."""
        run_id = None
        try:
            with self._importing:
                opened = open_run(opening)
            run_id = opened.run_id
        finally:
            with suppress(OSError):
                connection.send(run_id)
        return opened


def main() -> int:
    """Serve until standard input ends, then sync if it asked for that; return the exit code."""
    address = read_address()
    if address is None:
        print("error: the tracking process is started by `make repro` alone", file=sys.stderr)
        return 2
    try:
        listener = Listener(address.path, backlog=16, authkey=bytes.fromhex(address.key))
    except OSError as error:
        say(f"each stage imports mlflow itself: no socket at {address.path} ({error})")
        return 1
    with listener:
        server = TrackingServer(listener, bytes.fromhex(address.key))
        server.warm_up()
        asked = sys.stdin.readline().strip()
        server.finish()
    with suppress(OSError):  # a parent that was killed leaves the folder to this process
        Path(address.path).parent.rmdir()
    if asked != SYNC:
        return 0
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    from pipestill.tracking.__main__ import main as run_command  # it imports much, and stages wait for this process

    return run_command([SYNC])


if __name__ == "__main__":
    sys.exit(main())
