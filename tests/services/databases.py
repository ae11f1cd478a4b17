"""A PostgreSQL server on loopback, in a folder of its own, for the length of a block."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import programs
from services.servers import free_port, running

USER = "pipestill"


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a new cluster; yields the SQLAlchemy address of its empty database."""
    # PostgreSQL refuses to run as root, and nobody may not look into pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    as_nobody = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    if as_nobody:
        shutil.chown(folder, "nobody")
    programs_folder = programs.find("initdb").resolve().parent
    data, port = folder / "data", free_port()
    try:
        subprocess.run(
            [*as_nobody, programs_folder / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"],
            cwd=folder,
            capture_output=True,
            check=True,
        )
        settings = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-k", folder]
        server = [*as_nobody, programs_folder / "postgres", "-D", data, "-p", str(port), *settings]
        with running(server, folder / "log", lambda: _is_ready(programs_folder / "pg_isready", port), cwd=folder):
            yield f"postgresql+psycopg://{USER}@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_ready(pg_isready: Path, port: int) -> bool:
    command = [pg_isready, "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(command, check=False).returncode == 0
