"""The repository's own store: an SQLite file that is created whole, checked before mlflow opens it, and anchored."""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from pipestill.tracking.experiment import EXPERIMENT_TAGS, experiment_name
from pipestill.tracking.faults import SQLITE

CREATION_TIMEOUT_S = 60.0
BUSY_TIMEOUT_S = 2.0
"""Seconds that a stage waits for another process's transaction; a patient command waits five times as long."""
DATABASE = "mlflow.db"

_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Every column of mlflow's schema that holds the absolute path of an artifact."""


def prepare_database(database: Path, home: Path, *, patient: bool = False) -> None:
    """Create the database whole or not at all, by one of the processes that find none or an empty file.

    The repository's own is then anchored; one that several repositories share keeps its paths.

    Args:
        database: path of the SQLite file.
        home: root of the main repository.
        patient: wait longer for a locked database.

    Raises:
        sqlite3.Error: the file cannot be read as a database, or another process has locked it.
        OSError: the file cannot be created.
    """
    artifacts = home / "mlartifacts"
    if _is_new(database):
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock", timeout=CREATION_TIMEOUT_S):
            if _is_new(database):
                _create_database(database, artifacts)
    _check(database, BUSY_TIMEOUT_S * (5 if patient else 1))
    if database == home / DATABASE:
        anchor_artifacts(database, artifacts)


def _is_new(database: Path) -> bool:
    """Return whether a database has yet to be made; a full disk or a killed process leaves an empty file."""
    return not database.exists() or (database.is_file() and database.stat().st_size == 0)


def _check(database: Path, timeout_s: float) -> None:
    """Read a database's schema: of one that cannot be opened mlflow would try again for a hundred seconds."""
    with closing(sqlite3.connect(database, timeout=timeout_s)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _create_database(database: Path, artifacts: Path) -> None:
    from mlflow.entities import ExperimentTag
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    handle, temporary = tempfile.mkstemp(dir=database.parent, prefix=f"{database.name}.")
    os.close(handle)
    try:
        store = SqlAlchemyStore(f"{SQLITE}{temporary}", str(artifacts / "default"))
        tags = [ExperimentTag(key, value) for key, value in EXPERIMENT_TAGS.items()]
        store.create_experiment(experiment_name(), artifact_location=str(artifacts / "runs"), tags=tags)
        store.engine.dispose()
        Path(temporary).replace(database)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def anchor_artifacts(database: Path, artifacts: Path) -> int:
    """Rewrite the database's paths to this repository's artifacts after the repository was moved or copied.

    mlflow stores absolute paths only, so a moved store lists nothing and would write to the old place.

    Args:
        database: path of the SQLite file.
        artifacts: present folder of the artifacts.

    Returns:
        The number of paths rewritten; 0 where nothing was moved.
    """
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        stored = {root for (location,) in rows if (root := _artifact_root(location, artifacts.name))}
        rewritten = 0
        for root in stored - {str(artifacts)}:
            for table, column in _LOCATIONS:
                done = connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                    (str(artifacts), len(root) + 1, len(root) + 1, f"{root}/"),
                )
                rewritten += done.rowcount
    return rewritten


def _artifact_root(location: str | None, name: str) -> str | None:
    """Return the folder called `name` above a stored path; None if the path does not lie in one on this machine."""
    if not location or not location.startswith("/") or f"/{name}/" not in location:
        return None
    return location[: location.rindex(f"/{name}/")] + f"/{name}"
