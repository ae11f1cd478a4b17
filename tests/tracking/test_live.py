import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipestill.tracking import writer
from pipestill.tracking.faults import StoreError
from pipestill.tracking.live import LiveRun, Opening, OpenRun, Point, safe_name, shorten
from pipestill.tracking.start import start_live_run
from pipestill.tracking.store import Store, open_store


class FakeClient:
    """A store that works, refuses or hangs."""

    def __init__(self) -> None:
        self.refuses = False
        self.hangs = threading.Event()
        self.hangs.set()
        self.calls: list[str] = []

    def log_batch(self, run_id: str, metrics: Any = ()) -> None:
        self._answer(f"metrics {len(metrics)}")

    def set_terminated(self, run_id: str, status: str, end_time: int) -> None:
        self._answer(status)

    def _answer(self, call: str) -> None:
        self.hangs.wait(30)
        if self.refuses:
            raise ConnectionError("connection refused")
        self.calls.append(call)


@pytest.fixture
def client() -> Iterator[FakeClient]:
    client = FakeClient()
    yield client
    client.hangs.set()


def points(count: int) -> list[Point]:
    return [Point("loss", 1.0, step, 0) for step in range(count)]


def test_metrics_are_written_together_and_before_the_end(client: FakeClient) -> None:
    run = LiveRun(lambda: OpenRun(Store(client, "1"), "a"))
    for _ in range(5):
        run.add_points(points(300))
    assert run.close("FINISHED", 0)
    assert client.calls == ["metrics 1000", "metrics 500", "FINISHED"]


def test_a_server_that_dies_mid_run_is_said_once_and_raises_nothing(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    run = LiveRun(lambda: OpenRun(Store(client, "1"), "a"))
    client.refuses = True
    run.add_points(points(10))
    time.sleep(writer.FLUSH_S + 0.3)
    run.add_points(points(10))
    assert not run.close("FINISHED", 0)
    assert client.calls == []
    assert capsys.readouterr().err.count("out of reach") == 1


def test_a_server_that_hangs_costs_under_five_seconds(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    run = LiveRun(lambda: OpenRun(Store(client, "1"), "a"))
    client.hangs.clear()
    run.add_points(points(10))
    start_s = time.monotonic()
    assert not run.close("FINISHED", 0)
    assert time.monotonic() - start_s < 5
    assert capsys.readouterr().err.count("out of reach") == 1


def test_a_slow_server_that_makes_progress_is_waited_for(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "STALL_S", 0.3)
    run = LiveRun(lambda: OpenRun(Store(client, "1"), "a"))
    for _ in range(5):
        run.submit(lambda _store, _run_id: time.sleep(0.15))
    assert run.close("FINISHED", 0)


def test_a_server_that_accepts_and_never_answers_is_given_two_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        start_s = time.monotonic()
        with pytest.raises(StoreError, match="no MLflow server answers"):
            open_store(tmp_path)
        assert start_live_run(Opening(tmp_path, "first", 0, {}, {})) is None
        assert time.monotonic() - start_s < 5
    assert "out of reach" in capsys.readouterr().err


class OnlyHealth(BaseHTTPRequestHandler):
    """Says that it is well, and hangs when anything is asked of it."""

    def do_GET(self) -> None:
        if self.path == "/health":
            self.send_response(200)
            self.end_headers()
        else:
            time.sleep(8)

    do_POST = do_GET  # noqa: N815 (the name that http.server asks for)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_server_that_is_well_but_answers_nothing_costs_under_five_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), OnlyHealth)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        start_s = time.monotonic()
        assert start_live_run(Opening(tmp_path, "first", 0, {}, {})) is None
        assert time.monotonic() - start_s < 5
    finally:
        server.shutdown()
        server.server_close()
    assert "out of reach" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "fitted"),
    [
        ("distill@bert_l3", "distill-bert_l3"),
        ("dvc.dep/../shared/a.csv", "dvc.dep/_/shared/a.csv"),
        ("/absolute//path", "absolute/path"),
        ("train/loss (nats)", "train/loss -nats-"),
        ("x" * 300, "x" * 250),
    ],
)
def test_names_are_fitted_to_what_mlflow_accepts(name: str, fitted: str) -> None:
    assert safe_name(name) == fitted


def test_a_shortened_text_still_tells_two_texts_apart() -> None:
    assert shorten("x" * 100, 100) == "x" * 100
    assert len(shorten("x" * 101, 100)) == 100
    assert shorten("x" * 101, 100) != shorten("x" * 102, 100)
