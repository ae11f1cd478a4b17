"""Servers and addresses that a stage must not wait for, nor quote."""

import base64
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipestill.tracking import store
from pipestill.tracking.faults import StoreError
from pipestill.tracking.live import Opening
from pipestill.tracking.probe import authorization, probe
from pipestill.tracking.start import start_live_run
from pipestill.tracking.writer import MAX_REASON_CHARS, say, say_offline


class Handler(BaseHTTPRequestHandler):
    """Answer where the path is in `quick`, and drip a byte each tenth of a second elsewhere."""

    quick: tuple[str, ...] = ()
    seen: list[str | None]

    def do_GET(self) -> None:
        self.seen.append(self.headers["Authorization"])
        if self.path in self.quick:
            self.send_response(200)
            self.end_headers()
            return
        try:
            for byte in b"HTTP/1.1 200 OK\r\nX-Never: " + b"z" * 200:
                self.wfile.write(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            return

    do_POST = do_GET  # noqa: N815 (the name that http.server asks for)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """Host and port of a server of which `Handler` answers."""
    Handler.quick, Handler.seen = (), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_drips_costs_two_seconds(address: str) -> None:
    start_s = time.monotonic()
    with pytest.raises(StoreError, match="within 2 s"):
        probe(f"http://{address}")
    assert time.monotonic() - start_s < 4


def test_a_server_that_is_well_and_drips_afterwards_costs_the_time_of_one_opening(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlflow.tracking  # noqa: F401 (imported first, so that the measured time does not include it)

    Handler.quick = ("/health",)
    monkeypatch.setattr(store, "OPEN_S", 1.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@{address}")
    start_s = time.monotonic()
    assert start_live_run(Opening(tmp_path, "first", 0, {}, {})) is None
    assert time.monotonic() - start_s < 4
    printed = capsys.readouterr().err
    assert "within 1 s" in printed
    assert "secret" not in printed


def test_the_probe_authenticates_as_mlflow_does(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Handler.quick = ("/health",)
    probe(f"http://user:se%40cret@{address}/")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of-nobody")
    probe(f"http://{address}?token=abc")
    basic = f"Basic {base64.b64encode(b'user:se@cret').decode()}"
    assert Handler.seen == [basic, "Bearer of-nobody"]


@pytest.mark.parametrize("uri", ["http://h", "http://u:p@h"])
def test_the_address_goes_before_the_environment_and_a_password_before_a_token(uri: str) -> None:
    given = {"MLFLOW_TRACKING_USERNAME": "a", "MLFLOW_TRACKING_PASSWORD": "b", "MLFLOW_TRACKING_TOKEN": "c"}
    user = b"u:p" if "@" in uri else b"a:b"
    assert authorization(urlsplit(uri), given) == f"Basic {base64.b64encode(user).decode()}"
    assert authorization(urlsplit("http://h"), {"MLFLOW_TRACKING_USERNAME": "a"}) is None


@pytest.mark.parametrize(
    "uri",
    [
        "http://user:secret@127.0.0.1:9",
        "http://127.0.0.1:9/?token=secret",
        "http://user:sec/secret@127.0.0.1",
        "http://user:secret@127.0.0.1:port",
        "postgresql://user:secret@127.0.0.1:9/db",
        "http://user:secret@[::1",
    ],
)
def test_an_unreachable_address_is_named_without_its_secret(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoreError) as caught:
        probe(uri)
    say_offline(caught.value)
    assert "secret" not in f"{caught.value} {capsys.readouterr().err} {caught.value.__cause__}"
    assert caught.value.__suppress_context__
    assert "127.0.0.1" in str(caught.value) or "::1" in str(caught.value)


def test_no_line_of_tracking_holds_credentials_and_none_is_cut_in_the_middle_of_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("at http://user:secret@host")
    address = f"http://user:secret{'x' * MAX_REASON_CHARS}@host"
    say_offline(ValueError(address))
    printed = capsys.readouterr().err
    assert printed.startswith("tracking: at http://host\n")
    assert "secret" not in printed
