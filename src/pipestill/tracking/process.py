"""Start and end of a stage's process: signals, the death of DVC, and exit codes."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import psutil

from pipestill.errors import PipestillError
from pipestill.redaction import print_error, redacted
from pipestill.tracking.full_disk import full_disk
from pipestill.tracking.identity import current_stage

WATCH_INTERVAL_S = 0.5
GRACE_S = 6.0
"""Seconds that a stage gets to end by itself after DVC has died: its run still has to be closed."""


class StageTerminatedError(SystemExit):
    """A signal ends the process; the exit code is the shell's, 128 + signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


def run_main(main: Callable[[], None]) -> NoReturn:
    """Run a stage's main function, then exit with 0, or with a code that names the failure.

    A PipestillError is printed without traceback (exit code 1): its message names the next step. So is a full disk,
    whichever library met it. SIGTERM and SIGHUP end
    `main` like an exception, so that files are closed and the run gets its status. When DVC dies, so does the process.
    Standard input is empty: a library that asks whether it may run a model's code gets no answer.

    Args:
        main: function that runs the stage.
    """
    empty_input()
    end_by_exception()
    watch_parent()
    sys.exit(_exit_code(main))


def empty_input() -> None:
    """Put the null device in place of standard input, for this process and those that it starts."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def end_by_exception() -> None:
    """Make SIGTERM and SIGHUP raise StageTerminatedError, so that `finally` blocks run and the run gets its status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)


def _exit_code(main: Callable[[], None]) -> int | str | None:
    try:
        main()
    except SystemExit as error:
        return error.code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 (the outermost frame: everything else ends here)
        known = full_disk(error) or (error if isinstance(error, PipestillError) else None)
        if known is None:
            print(redacted(traceback.format_exc()), end="", file=sys.stderr)
        else:
            print_error(known)
        return 1
    return 0


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise StageTerminatedError(number)


def watch_parent() -> None:
    """End this process when the DVC process that started it is gone; without DVC, do nothing.

    A terminated or killed DVC leaves its child processes alive: they would go on writing into outs that the next `dvc
    repro` deletes and writes again.
    """
    stage = current_stage()
    starter = _starter(stage) if stage else None
    if starter is None:
        return
    if _is_init(starter):
        raise StageTerminatedError(signal.SIGTERM)  # DVC died while this process was still importing
    threading.Thread(target=_watch, args=(starter,), name="watch-dvc", daemon=True).start()


def _starter(stage: str) -> psutil.Process | None:
    """Return the DVC process: the nearest ancestor without this stage's environment, past any shells between."""
    for ancestor in psutil.Process().parents():
        try:
            if ancestor.environ().get("DVC_STAGE") != stage:
                return ancestor
        except psutil.NoSuchProcess:
            return None
        except psutil.Error:  # another user's process was not started by our DVC
            return ancestor
    return None


def _is_init(process: psutil.Process) -> bool:
    """Return whether a process adopts orphans. In a container DVC itself may have pid 1; it does not count."""
    try:
        command = " ".join(process.cmdline())
        adopts = process.pid == 1 or process.name() in {"systemd", "init", "launchd"}
    except psutil.Error:
        return False
    return adopts and "dvc" not in command and "python" not in command


def _watch(starter: psutil.Process) -> None:
    while _alive(starter):
        time.sleep(WATCH_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    # The main thread is in native code and cannot handle the signal: the next sync ends the run.
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(128 + signal.SIGTERM)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
