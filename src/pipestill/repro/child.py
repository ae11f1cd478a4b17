"""A child process whose output is read line by line, and which ends with all its descendants."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil

GRACE_S = 10.0
"""Seconds that a stage gets to end by itself: its run still has to be closed."""
LAST_S = 2.0
QUIET = {"TORCH_CPP_LOG_LEVEL": "ERROR"}
"""Setting that silences torch's exporter on operators without known shapes: it exports them correctly, and parity is
checked."""


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Start a program that ends, with all its descendants, if the block is left by an exception.

    Only its standard output is read: on standard error its progress bars see the terminal.

    Args:
        command: program and its arguments.
        environment: environment variables for it, besides this process's own.

    Yields:
        The process; `stdout` holds its lines as soon as they are printed.
    """
    variables = {**QUIET, **os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace", env=variables) as child:  # noqa: S603
        try:
            yield child
        except BaseException as error:
            end(child, was_told=isinstance(error, KeyboardInterrupt))
            raise


def end(child: "subprocess.Popen[str]", *, was_told: bool) -> None:
    """End a child and all its descendants.

    The descendants are terminated first, so that they close their runs and the child sees their exit codes; after
    GRACE_S all are killed.

    Args:
        child: process to end.
        was_told: whether the terminal has sent its Ctrl-C to all of them.
    """
    family = _descendants(child)
    # A full pipe would block a process that still prints.
    threading.Thread(target=lambda: child.stdout and child.stdout.read(), daemon=True).start()
    if not was_told:
        _signal(family or [psutil.Process(child.pid)], signal.SIGTERM)
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        family += _descendants(child)
        child.terminate()
    _, alive = psutil.wait_procs(family, LAST_S)
    _signal(alive, signal.SIGTERM)
    _, alive = psutil.wait_procs(alive, LAST_S)
    _signal(alive, signal.SIGKILL)
    if child.poll() is None:
        child.kill()
    child.wait()


def _descendants(child: "subprocess.Popen[str]") -> list[psutil.Process]:
    try:
        return psutil.Process(child.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
