"""The store of the runs: `mlflow.db` and `mlartifacts/` in the main repository, or the server in MLFLOW_TRACKING_URI.

A server is probed before mlflow is imported, and asked with short timeouts: mlflow's defaults wait for four minutes.
"""

import logging
import os
import socket
import sqlite3
import tempfile
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit

from filelock import FileLock

from pipestill.errors import PipestillError

PROBE_TIMEOUT_S = 2.0
CREATION_TIMEOUT_S = 60.0
DEFAULT_EXPERIMENT = "pipestill"
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "One run for each execution of a stage, below the run of its pipeline, which has the table.",
}
"""Tags of the experiment: without a kind the UI takes it for one of prompts and agents."""
SQLITE = "sqlite:///"
DATABASE = "mlflow.db"
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Every column of mlflow's schema that holds the absolute path of an artifact."""
_SET_HERE: dict[str, str] = {}
"""The environment variables that were set here: a process that tracked stages waits longer when it syncs."""


class StoreError(PipestillError):
    """The tracking store cannot be reached or used; a stage goes on without it."""


class Store(NamedTuple):
    """An open store: mlflow's client and the experiment that the runs belong to."""

    client: Any
    experiment_id: str


def tracking_uri(home: Path) -> str:
    """Return the store's address: MLFLOW_TRACKING_URI, else the repository's own SQLite file."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{home.absolute() / DATABASE}"


def experiment_name() -> str:
    """Return the experiment's name: MLFLOW_EXPERIMENT_NAME, else `pipestill`."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT


def open_store(home: Path, *, patient: bool = False) -> Store:
    """Open the store; the repository's own is created if it is missing.

    Args:
        home: root of the main repository.
        patient: wait for a slow server, as commands that need the store do and stages do not.

    Returns:
        The client and the experiment's id.

    Raises:
        StoreError: no server answers at the address. Other errors are mlflow's own.
    """
    uri = tracking_uri(home)
    _probe(uri)
    _set_up_mlflow(timeout_s=60 if patient else 2, retries=3 if patient else 0)
    if uri.startswith(SQLITE):
        _prepare_database(Path(uri.removeprefix(SQLITE)), home.absolute())
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    return Store(client, _experiment(client, experiment_name(), home if uri.startswith(SQLITE) else None))


def _experiment(client: Any, name: str, home: Path | None) -> str:  # noqa: ANN401 (mlflow has no types for us)
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":  # in the UI; its name stays taken
        client.restore_experiment(found.experiment_id)
    if found is None:
        location = str(home.absolute() / "mlartifacts" / "runs") if home else None
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS))
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _probe(uri: str) -> None:
    """Check within PROBE_TIMEOUT_S that a server answers at the address."""
    parts = urlsplit(uri)
    if not parts.hostname:
        return
    try:
        if parts.scheme in {"http", "https"}:
            urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=PROBE_TIMEOUT_S).close()  # noqa: S310
        elif parts.port:
            socket.create_connection((parts.hostname, parts.port), timeout=PROBE_TIMEOUT_S).close()
    except HTTPError:
        return  # a server is there; the first request shows whether it accepts us
    except OSError as error:
        raise StoreError(
            f"no MLflow server answers at {parts.scheme}://{parts.hostname}:{parts.port or ''}", found=error
        ) from error


def _set_up_mlflow(timeout_s: int, retries: int) -> None:
    """Set the environment variables that mlflow reads: no telemetry, no four-minute waits, no log of migrations."""
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout_s),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    for name, value in settings.items():
        if os.environ.get(name) in {None, _SET_HERE.get(name)}:  # the user's own settings stay
            os.environ[name] = _SET_HERE[name] = value
    # An inherited run id would fold every stage into one run.
    os.environ.pop("MLFLOW_RUN_ID", None)
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.models.signature"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _prepare_database(database: Path, home: Path) -> None:
    """Create the database whole or not at all, by one of the processes that find none.

    The repository's own is then anchored; one that several repositories share keeps its paths.
    """
    artifacts = home / "mlartifacts"
    if not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{database}.lock", timeout=CREATION_TIMEOUT_S):
            if not database.exists():
                _create_database(database, artifacts)
    if database == home / DATABASE:
        anchor_artifacts(database, artifacts)


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
        artifacts: the folder that holds the artifacts now.

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
