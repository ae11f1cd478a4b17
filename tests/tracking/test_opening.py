import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from socket import create_server

import psutil
import pytest
from repositories import Repository

from pipestill.errors import PipestillError
from pipestill.tracking import ui
from pipestill.tracking.ui import has_desktop, run_ui

SERVER = """
import subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
time.sleep(0.3)
server = HTTPServer(("127.0.0.1", 0), Handler)
"""
"""A server that starts slowly and has a process below it, as MLflow's has its workers."""
SERVE = """
import sys
from pipestill.tracking.ui import serve
sys.exit(serve([sys.executable, sys.argv[1], sys.argv[2]], f"http://127.0.0.1:{sys.argv[2]}/health", "the-link"))
"""
BROWSER = """#!/bin/sh
echo "$1" >> "$OPENED"
"""


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("environment", "platform", "seen"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":0", "CI": "true"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "darwin", False),
        ({"CI": "1"}, "win32", False),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_opened_only_where_somebody_sees_it(
    environment: dict[str, str], platform: str, seen: bool
) -> None:
    assert has_desktop(environment, platform) is seen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_link_comes_once_the_server_answers_and_a_signal_ends_all(tmp_path: Path, number: int, code: int) -> None:
    port = free_port()
    (tmp_path / "server.py").write_text(
        f"{SERVER.replace('0), Handler', f'{port}), Handler')}\nserver.serve_forever()\n"
    )
    (tmp_path / "browser").write_text(BROWSER)
    (tmp_path / "browser").chmod(0o755)
    opened = tmp_path / "opened"
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"DISPLAY": ":0", "BROWSER": str(tmp_path / "browser"), "OPENED": str(opened)}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path / "server.py"), str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 (no thread)
    )
    assert process.stdout
    assert process.stdout.readline() == "the runs and their results: the-link\n"
    end = time.monotonic() + 10
    while not (opened.exists() and opened.read_text()) and time.monotonic() < end:
        time.sleep(0.05)
    assert opened.read_text() == "the-link\n"
    below = psutil.Process(process.pid).children(recursive=True)
    assert len([child for child in below if child.status() != psutil.STATUS_ZOMBIE]) == 2
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == code
    assert not psutil.wait_procs(below, timeout=5)[1]


def test_a_server_that_ends_by_itself_gives_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert ui.serve([sys.executable, "-c", "exit(3)"], "http://127.0.0.1:9/health", "the-link") == 3
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().out == ""


def test_a_taken_port_is_refused_with_another_to_take(repository: Repository) -> None:
    with create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PipestillError, match=rf"port {port} [\s\S]*--port {port + 1}"):
            run_ui(repository.root, port)


def test_the_ui_of_a_server_is_linked_and_none_is_started(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ui.open_store(repository.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example:5000")
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(ui, "open_store", lambda _root, patient: store)
    assert run_ui(repository.root, 5000) == 0
    assert f"https://mlflow.example:5000/#/experiments/{store.experiment_id}/runs?" in capsys.readouterr().out
