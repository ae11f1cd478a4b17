"""Errors of the tracking store, with the next step in place of a traceback."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from pipestill.errors import PipestillError
from pipestill.redaction import redacted

VARIABLE = "MLFLOW_TRACKING_URI"
SQLITE = "sqlite:///"
MAX_REASON_CHARS = 300
AWAY = "move the file away and run `python -m pipestill.tracking sync`, which makes it anew from the run records"
UPGRADE = (
    "if an older MLflow has written the store, copy it and run `mlflow db upgrade {uri}`; if a newer one has, run "
    "`make setup` on the commit whose requirements.lock names that release"
)
_STEPS = (
    (("locked",), "end the process that holds the store, or wait for it, and run the command again"),
    (
        ("out-of-date database schema", "Can't locate revision"),
        UPGRADE,
    ),
    (("not a database", "malformed", "no such table", "no such column", "disk I/O"), AWAY),
)
"""Parts of the messages of SQLite, alembic and mlflow, and the step that each calls for."""


class StoreError(PipestillError):
    """The tracking store cannot be reached or used; a stage goes on without it."""


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turn errors of mlflow, of its database and of the network into a StoreError with the next step.

    Args:
        uri: address of the store.

    Raises:
        StoreError: the block met such an error.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, PipestillError) or not _is_of_store(error):
            raise
        # The cause is left out: its traceback would print the address with its password.
        raise StoreError(
            f"the MLflow store at {redacted(uri)} cannot be used",
            found=_reason(error),
            expected="a store of the installed MLflow that answers",
            next_step=_next_step(uri, str(error)),
        ) from None


def _is_of_store(error: Exception) -> bool:
    modules = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    return isinstance(error, OSError | sqlite3.Error) or bool(modules & {"mlflow", "sqlalchemy", "alembic"})


def _reason(error: Exception) -> str:
    lines = redacted(error).strip().splitlines()
    return lines[0][:MAX_REASON_CHARS] if lines else type(error).__name__


def _next_step(uri: str, message: str) -> str:
    for parts, step in _STEPS:
        if any(part in message for part in parts):
            return step.format(uri=redacted(uri))
    if uri.startswith(SQLITE):
        return f"make sure that {uri.removeprefix(SQLITE)} is a file of MLflow's that can be written"
    return f"start the server, or unset {VARIABLE} to use the store of this repository; then run the command again"
