"""`python -m pipestill.tracking ui`: MLflow's UI on this repository's runs."""

import os
import sys
from pathlib import Path

from pipestill.tracking.store import open_store, tracking_uri


def run_ui(root: Path, port: int) -> None:
    """Become MLflow's server on loopback; where MLFLOW_TRACKING_URI names a server, say where that is.

    Opening the store first points it at this repository's artifacts, should the repository have been moved.

    Args:
        root: the main repository's root.
        port: where the server listens.
    """
    uri = tracking_uri(root)
    if uri.startswith(("http://", "https://")):
        print(f"MLFLOW_TRACKING_URI names a server, which has a UI of its own: {uri}")
        return
    open_store(root, patient=True)
    address = f"http://127.0.0.1:{port}"
    print(f"MLflow is starting at {address} (Ctrl-C ends it)", flush=True)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # nothing here uses it, and it takes 2 GB
    arguments = ["ui", "--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *arguments])  # noqa: S606 (our own interpreter)
