"""The store of the runs: `mlflow.db` and `mlartifacts/` in the main repository, or the server in MLFLOW_TRACKING_URI.

A server is probed before mlflow is imported, and asked with short timeouts: mlflow's defaults wait for four minutes.
"""

import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from pipestill.tracking.database import DATABASE, prepare_database
from pipestill.tracking.deadline import within
from pipestill.tracking.experiment import EXPERIMENT_TAGS, experiment_name
from pipestill.tracking.faults import SQLITE, VARIABLE, store_errors
from pipestill.tracking.probe import probe

OPEN_S = 10.0
"""Seconds that a stage spends on opening a server's store, and again on opening a run, whatever the server does."""
PATIENT_S = 60.0
"""Seconds for commands that need the store; for a file of this machine too, where only a busy processor is slow."""
_SET_HERE: dict[str, str] = {}
"""The environment variables that were set here: a process that tracked stages waits longer when it syncs."""


class Store(NamedTuple):
    """An open store: mlflow's client and the experiment that the runs belong to."""

    client: Any
    experiment_id: str


def tracking_uri(home: Path) -> str:
    """Return the store's address: MLFLOW_TRACKING_URI, else the repository's own SQLite file."""
    return os.environ.get(VARIABLE) or f"{SQLITE}{home.absolute() / DATABASE}"


def open_store(home: Path, *, patient: bool = False) -> Store:
    """Open the store; the repository's own is created if it is missing.

    Args:
        home: root of the main repository.
        patient: wait for a slow server, as commands that need the store do and stages do not.

    Returns:
        The client and the experiment's id.

    Raises:
        StoreError: the store cannot be reached or used.
    """
    uri = tracking_uri(home)
    probe(uri)
    _set_up_mlflow(timeout_s=60 if patient else 2, retries=3 if patient else 0)
    from mlflow.tracking import MlflowClient  # in the calling thread, which is a stage's main one

    own = home if uri.startswith(SQLITE) else None

    def connect() -> Store:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        return Store(client, _experiment(client, experiment_name(), own))

    with store_errors(uri):
        if own:
            prepare_database(Path(uri.removeprefix(SQLITE)), home.absolute(), patient=patient)
        return within(PATIENT_S if patient else opening_time_s(uri), connect)


def opening_time_s(uri: str) -> float:
    """Return the seconds within which a stage opens a store or a run in it."""
    return PATIENT_S if uri.startswith(SQLITE) else OPEN_S


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
