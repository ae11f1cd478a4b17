"""`python -m pipestill.tracking ui`: MLflow's UI on this repository's runs, opened on a saved view of their results."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import psutil

from pipestill.redaction import redacted
from pipestill.tracking.faults import StoreError
from pipestill.tracking.store import open_store, tracking_uri
from pipestill.tracking.view import view_link, write_view

POLL_S = 0.2
END_S = 10.0
"""Seconds that the server's processes get to end before they are killed."""


def run_ui(root: Path, port: int) -> int:
    """Serve MLflow on loopback until it is ended; if MLFLOW_TRACKING_URI names a server, print its link instead.

    The store is opened first, which corrects its paths after the repository was moved.

    Args:
        root: root of the main repository.
        port: port that the server listens on.

    Returns:
        The exit code: the server's own, or 0 after Ctrl-C.

    Raises:
        StoreError: the store cannot be reached, or the port is taken.
    """
    uri = tracking_uri(root)
    store = open_store(root, patient=True)
    write_view(store)
    if uri.startswith(("http://", "https://")):
        print("MLFLOW_TRACKING_URI names a server, which has a UI of its own:", flush=True)
        _show(view_link(redacted(uri), store.experiment_id))
        return 0
    _refuse_taken(port)
    address = f"http://127.0.0.1:{port}"
    print("MLflow is starting (Ctrl-C ends it)", flush=True)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # nothing here uses it, and it takes 2 GB
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri  # every user of the machine can read a command line
    arguments = ["ui", "--host", "127.0.0.1", "--port", str(port)]
    return serve(
        [sys.executable, "-m", "mlflow", *arguments], f"{address}/health", view_link(address, store.experiment_id)
    )


def serve(command: Sequence[str], health: str, link: str) -> int:
    """Run a server until it or this process is ended, and show a link once it answers.

    Args:
        command: command line of the server.
        health: address that answers when the server is ready.
        link: address to print and to open.

    Returns:
        The server's exit code; 0 after Ctrl-C.
    """
    signal.signal(signal.SIGTERM, _exit)
    server = subprocess.Popen(command)  # noqa: S603 (our own interpreter)
    try:
        while server.poll() is None and not _answers(health):
            time.sleep(POLL_S)
        if server.poll() is None:
            _show(link)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(server)


def has_desktop(environment: Mapping[str, str], platform: str) -> bool:
    """Return whether a browser opened on this machine is visible to the user.

    Args:
        environment: variables of the environment.
        platform: value of `sys.platform`.
    """
    if environment.get("CI"):
        return False
    if platform in {"darwin", "win32"}:
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _show(link: str) -> None:
    """Print the link, and open it where there is a desktop."""
    print(f"the runs and their results: {link}", flush=True)
    if has_desktop(os.environ, sys.platform):
        webbrowser.open(link)


def _refuse_taken(port: int) -> None:
    """Refuse a port that is taken, or another server's answer would be taken for ours."""
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StoreError(
                f"MLflow's UI cannot listen on port {port} of this machine",
                found=error,
                expected="a free port",
                next_step=f"end what listens there, or run `python -m pipestill.tracking ui --port {port + 1}`",
            ) from error


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=1).close()  # noqa: S310 (loopback)
    except OSError:
        return False
    return True


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a process and its descendants; kill those that do not end in time."""
    if server.poll() is not None:
        return
    try:
        process = psutil.Process(server.pid)
        tree = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in tree:
        try:
            member.terminate()
        except psutil.NoSuchProcess:
            continue
    for member in psutil.wait_procs(tree, timeout=END_S)[1]:
        member.kill()
