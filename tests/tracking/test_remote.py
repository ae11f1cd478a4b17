"""A stage's side and the server's side of the tracking process in one process, over a store that is made up."""

import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import pytest

from pipestill.tracking import entities, remote, server, start, writer
from pipestill.tracking.faults import StoreError
from pipestill.tracking.live import LiveRun, Opening, OpenRun, Point
from pipestill.tracking.remote import Address, RemoteRun, connect, open_remote_run, read_address, store_of
from pipestill.tracking.server import TrackingServer
from pipestill.tracking.start import start_live_run
from pipestill.tracking.store import Store, open_store

KEY = "5e" * 16


class FakeClient:
    """A store that writes down what it is asked; opening a run waits for `imported`."""

    def __init__(self) -> None:
        self.imported = threading.Event()
        self.imported.set()
        self.calls: list[object] = []
        self.error: Exception | None = None

    def log_batch(self, run_id: str, metrics: Any = (), tags: Any = ()) -> None:
        self.calls.append((run_id, [(metric.key, metric.step) for metric in metrics], [tag.key for tag in tags]))

    def set_terminated(self, run_id: str, status: str, end_time: int) -> None:
        self.calls.append((run_id, status, end_time))

    def open(self, opening: Opening) -> OpenRun:
        self.imported.wait(20)
        if self.error:
            raise self.error
        return OpenRun(Store(self, "1"), f"id of {opening.name}")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClient]:
    client = FakeClient()
    monkeypatch.setattr(server, "open_run", client.open)
    yield client
    client.imported.set()


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    address = Address(str(tmp_path / "socket"), KEY, store_of(tmp_path), 0)
    for name, value in address.environment().items():
        monkeypatch.setenv(name, value)
    return address


@pytest.fixture
def serving(client: FakeClient, address: Address) -> Iterator[TrackingServer]:
    with Listener(address.path, authkey=bytes.fromhex(KEY)) as listener:
        yield TrackingServer(listener, bytes.fromhex(KEY))


def opened(folder: Path, name: str = "first") -> RemoteRun:
    run = open_remote_run(Opening(folder, name, 0, {"a": "b"}, {}))
    assert run is not None
    return run


def test_an_address_survives_the_environment(address: Address) -> None:
    assert read_address() == address


@pytest.mark.usefixtures("serving")
def test_both_sides_have_the_same_methods() -> None:
    public = {name for name in vars(RemoteRun) if not name.startswith("_")}
    assert public == {"run_id", "submit", "add_points", "close"}
    assert public <= set(vars(LiveRun))


def test_runs_are_written_apart_in_order_and_ended(serving: TrackingServer, client: FakeClient, tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path, "second")
    assert (first.run_id, second.run_id) == ("id of first", "id of second")
    first.add_points(Point("loss", 0.5, step, 0) for step in range(3))
    first.submit(entities.write_tags, {"role": "student"})
    assert second.close("FAILED", 5)
    assert first.close("FINISHED", 7)
    serving.finish()
    own = [call for call in client.calls if call[0] == "id of first"]  # type: ignore[index]
    assert own == [
        ("id of first", [("loss", 0), ("loss", 1), ("loss", 2)], []),
        ("id of first", [], ["role"]),
        ("id of first", "FINISHED", 7),
    ]
    assert ("id of second", "FAILED", 5) in client.calls


def test_a_stage_that_ends_before_mlflow_is_imported_does_not_wait_for_it(
    serving: TrackingServer, client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GRACE_S", 30.0)
    monkeypatch.setattr(writer, "STALL_S", 0.5)
    client.imported.clear()
    start_s = time.monotonic()
    run = opened(tmp_path)
    run.submit(entities.write_tags, {"large": "x" * 3_000_000})  # more than a socket holds
    assert run.run_id is None
    assert run.close("FINISHED", 7)
    assert time.monotonic() - start_s < remote.ANSWER_S + 1
    assert client.calls == []
    time.sleep(1)  # an import may take longer than an operation is waited for
    client.imported.set()
    serving.finish()
    assert client.calls == [("id of first", [], ["large"]), ("id of first", "FINISHED", 7)]


def test_a_stage_that_is_gone_leaves_its_run_open_with_all_that_it_sent(
    serving: TrackingServer, client: FakeClient, tmp_path: Path
) -> None:
    run = opened(tmp_path)
    run.add_points([Point("loss", 0.5, 1, 0)])
    run.submit(entities.write_tags, {"role": "student"})
    assert run.run_id
    assert run._writer.finish()
    run._connection.close()
    serving.finish()
    assert client.calls == [("id of first", [("loss", 1)], []), ("id of first", [], ["role"])]


def test_a_stage_that_stays_is_left_alone_after_a_while(
    serving: TrackingServer, client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GRACE_S", 0.3)
    run = opened(tmp_path)
    run.add_points([Point("loss", 0.5, 1, 0)])
    assert run.run_id
    start_s = time.monotonic()
    serving.finish()
    assert 0.3 < time.monotonic() - start_s < 3
    assert client.calls == [("id of first", [("loss", 1)], [])]


def test_a_run_that_cannot_be_opened_is_said_once_and_has_no_id(
    serving: TrackingServer, client: FakeClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client.error = StoreError("no MLflow server answers")
    run = opened(tmp_path)
    assert run.run_id is None
    run.submit(entities.write_tags, {"role": "student"})
    assert run.close("FINISHED", 0)
    serving.finish()
    assert client.calls == []
    assert capsys.readouterr().err.count("out of reach (no MLflow server answers") == 1


@contextmanager
def accepting(address: Address) -> Iterator[list[Any]]:
    """A process that accepts one connection and reads nothing; yields the list that the connection comes into."""
    with Listener(address.path, authkey=bytes.fromhex(KEY)) as listener:
        accepted: list[Any] = []
        threading.Thread(target=lambda: accepted.append(listener.accept()), daemon=True).start()
        yield accepted


def test_a_process_that_dies_is_said_once_and_raises_nothing(
    address: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with accepting(address) as accepted:
        run = opened(tmp_path)
        while not accepted:
            time.sleep(0.01)
        accepted[0].close()
    run.submit(entities.write_tags, {"role": "student"})
    run.add_points([Point("loss", 0.5, 1, 0)])
    assert run.run_id is None
    assert not run.close("FINISHED", 0)
    assert capsys.readouterr().err.count("out of reach") == 1


def test_a_process_that_hangs_costs_under_five_seconds(
    address: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with accepting(address):
        run = opened(tmp_path)
        run.submit(entities.write_tags, {"large": "x" * 3_000_000})
        start_s = time.monotonic()
        assert not run.close("FINISHED", 0)
        assert time.monotonic() - start_s < 5
    assert capsys.readouterr().err.count("out of reach (no answer within 4 s)") == 1


def test_something_that_the_other_side_does_not_know_costs_the_run_and_not_the_process(
    serving: TrackingServer, client: FakeClient, address: Address, tmp_path: Path
) -> None:
    connection = connect(address)
    assert connection is not None
    connection.send(Opening(tmp_path, "first", 0, {}, {}))
    connection.send_bytes(pickle.dumps(entities.write_tags).replace(b"write_tags", b"write_hats"))
    assert connection.recv() == "id of first"
    with pytest.raises((EOFError, OSError)):
        connection.recv()
    run = opened(tmp_path, "second")
    assert run.close("FINISHED", 0)
    serving.finish()
    assert client.calls == [("id of second", "FINISHED", 0)]


def test_strangers_are_turned_away_and_stages_still_served(
    serving: TrackingServer, client: FakeClient, address: Address, tmp_path: Path
) -> None:
    assert connect(address._replace(key="00" * 16)) is None
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(address.path)
    assert opened(tmp_path).close("FINISHED", 0)
    serving.finish()
    assert client.calls == [("id of first", "FINISHED", 0)]


@pytest.mark.usefixtures("serving")
@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "home"])
def test_a_stage_of_another_store_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name != "home":
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    other = tmp_path / "other" if name == "home" else tmp_path
    assert open_remote_run(Opening(other, "first", 0, {}, {})) is None


@pytest.mark.parametrize("lacks", ["variable", "process", "life"])
def test_without_a_process_the_stage_opens_the_run_itself(
    address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    if lacks == "variable":
        monkeypatch.delenv(remote.VARIABLE)
    if lacks == "life":  # killed: its socket is still there
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(address.path)
    monkeypatch.setattr(start, "open_run", lambda opening: OpenRun(Store(FakeClient(), "1"), "own"))
    start_s = time.monotonic()
    run = start_live_run(Opening(tmp_path, "first", 0, {}, {}))
    assert time.monotonic() - start_s < 1
    assert isinstance(run, LiveRun)
    assert run.run_id == "own"


def test_a_process_that_starts_late_is_waited_for(client: FakeClient, address: Address, tmp_path: Path) -> None:
    late = address._replace(started_s=time.time() + 10)
    listeners: list[Listener] = []

    def begin() -> None:
        listeners.append(Listener(late.path, authkey=bytes.fromhex(KEY)))
        TrackingServer(listeners[0], bytes.fromhex(KEY))

    threading.Timer(0.3, begin).start()
    connection = connect(late)
    assert connection is not None
    connection.close()
    listeners[0].close()


def test_a_process_that_does_not_answer_is_not_waited_for(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "CONNECT_S", 0.3)
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.bind(address.path)
        stopped.listen()
        start_s = time.monotonic()
        assert connect(address) is None
        assert time.monotonic() - start_s < 2


@pytest.mark.parametrize("given", [None, "7"])
def test_a_process_that_tracked_stages_waits_longer_when_it_syncs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    name = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    monkeypatch.delenv(name, raising=False)
    if given:
        monkeypatch.setenv(name, given)
    monkeypatch.setattr("pipestill.tracking.store.probe", lambda uri: None)
    monkeypatch.setattr("pipestill.tracking.store._experiment", lambda client, name, home: "1")
    seen = []
    for patient in (False, True):
        open_store(tmp_path, patient=patient)
        seen.append(os.environ[name])
    assert seen == ([given, given] if given else ["2", "60"])
