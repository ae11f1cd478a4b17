"""The tracking process beside `dvc repro`: with it mlflow is imported once, and not by every stage."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from pipestill.tracking.identity import home
from pipestill.tracking.remote import Address, store_of
from pipestill.tracking.server import SIGNALS, SYNC
from pipestill.tracking.start import is_live
from pipestill.tracking.writer import say

SERVER = (sys.executable, "-m", "pipestill.tracking.server")
START_S = 10.0
"""Seconds after which stages no longer wait for a process that did not start."""
END_S = 20.0
"""Seconds that the process gets to write what is queued."""


class Tracker:
    """The tracking process, or the lack of one.

    Attributes:
        environment: environment variables that show stages the way to the process.
    """

    def __init__(self, process: "subprocess.Popen[str] | None", environment: Mapping[str, str]) -> None:
        self._process = process
        self.environment = environment

    def sync(self) -> bool:
        """Let the process write what is queued and sync MLflow, and wait for it; returns whether it did."""
        if self._process is None or self._process.poll() is not None:
            return False
        self._say(f"{SYNC}\n")
        return self._process.wait() >= 0

    def end(self) -> None:
        """Let the process write what is queued, and end it."""
        if self._process is None:
            return
        self._say("")
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            say(f"the tracking process is ended after {END_S:g} s; `sync` writes what is missing")
        finally:
            self._process.kill()
            self._process.wait()

    def _say(self, last: str) -> None:
        """Write the last text of the process's standard input, and end that."""
        assert self._process is not None, "there is a process"
        assert self._process.stdin is not None, "the process has a pipe"
        with suppress(BrokenPipeError):
            if not self._process.stdin.closed:
                self._process.stdin.write(last)
            self._process.stdin.close()


@contextmanager
def tracking_process(command: Sequence[str] = SERVER) -> Iterator[Tracker]:
    """Keep a tracking process for the stages that the block runs; none where their runs are to come later.

    Args:
        command: program and arguments of the process. Its standard input ends when this process ends, however it does.

    Yields:
        The process; without one stages import mlflow themselves.
    """
    if not is_live():
        yield Tracker(None, {})
        return
    with TemporaryDirectory(prefix="pipestill-") as folder:
        path = str(Path(folder) / "socket")
        address = Address(path, secrets.token_hex(32), store_of(home()), time.time() + START_S)
        tracker = _start(command, address.environment())
        try:
            yield tracker
        finally:
            tracker.end()


def _start(command: Sequence[str], environment: Mapping[str, str]) -> Tracker:
    variables = {**os.environ, **environment}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, text=True, env=variables, preexec_fn=_ignore_signals)  # noqa: S603, PLW1509 (no thread)
    except OSError:
        return Tracker(None, {})
    return Tracker(process, environment)


def _ignore_signals() -> None:
    """Ignore what ends the stages, from the first moment on: the process has their ends to write."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
