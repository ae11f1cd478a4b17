"""`python -m pipestill.tracking sync` on every store that cannot be used: an error with the next step, no traceback."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from outcomes import write_outcome
from repositories import Repository

from pipestill.tracking.__main__ import main
from pipestill.tracking.live import Opening
from pipestill.tracking.start import start_live_run


def truncate(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:10_000])


def scribble(database: Path) -> None:
    database.write_bytes(b"not a database at all" * 100)


def is_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


def at_revision(revision: str) -> Callable[[Path], None]:
    def write(database: Path) -> None:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))

    return write


@pytest.mark.parametrize(
    ("break_it", "step"),
    [
        (truncate, "move the file away"),
        (scribble, "move the file away"),
        (is_folder, "is a file of MLflow's"),
        (at_revision("451aebb31d03"), "mlflow db upgrade sqlite:///"),
        (at_revision("ffffffffffff"), "if a newer one has"),
    ],
    ids=["truncated", "scribbled", "folder", "older", "newer"],
)
def test_a_store_that_cannot_be_used_is_an_error_with_the_next_step(
    repository: Repository, capsys: pytest.CaptureFixture[str], break_it: Callable[[Path], None], step: str
) -> None:
    write_outcome(repository.root)
    break_it(repository.root / "mlflow.db")
    start_s = time.monotonic()
    assert main(["sync"]) == 1
    assert time.monotonic() - start_s < 15
    printed = capsys.readouterr().err
    assert "error: the MLflow store at sqlite:///" in printed
    assert step in printed
    assert "Traceback" not in printed


@contextmanager
def locked(database: Path, kind: str) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(f"BEGIN {kind}")
        yield


@pytest.mark.parametrize("kind", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_locked_store_is_an_error_with_the_next_step(
    repository: Repository, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    write_outcome(repository.root)
    with locked(repository.root / "mlflow.db", kind):
        assert main(["sync"]) == 1
    assert "end the process that holds the store" in capsys.readouterr().err


def test_an_unreachable_server_is_an_error_without_its_password(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_outcome(repository.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    assert main(["sync"]) == 1
    printed = capsys.readouterr().err
    assert "error: no MLflow server answers at http://127.0.0.1:9" in printed
    assert "secret" not in printed


def test_an_empty_file_is_made_anew(repository: Repository) -> None:
    write_outcome(repository.root)
    (repository.root / "mlflow.db").write_bytes(b"")
    assert main(["sync"]) == 0
    assert len(repository.runs()) == 1


@pytest.mark.parametrize("kind", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_locked_store_costs_a_stage_seconds(
    repository: Repository, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    with locked(repository.root / "mlflow.db", kind):
        start_s = time.monotonic()
        assert start_live_run(Opening(repository.root, "first", 0, {}, {})) is None
        assert time.monotonic() - start_s < 30
    printed = capsys.readouterr().err
    assert printed.count("out of reach") == 1
    assert "locked" in printed
