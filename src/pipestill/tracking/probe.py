"""A look at a tracking server before mlflow is imported: it answers within seconds, or it is out of reach."""

import base64
import os
import socket
import ssl
import urllib.request
from collections.abc import Mapping
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit

from pipestill.redaction import redacted
from pipestill.tracking.deadline import within
from pipestill.tracking.faults import VARIABLE, StoreError

PROBE_TIMEOUT_S = 2.0
"""Seconds for the whole conversation: names looked up, connected, asked and answered."""


def probe(uri: str) -> None:
    """Check within PROBE_TIMEOUT_S that a server answers at an address; an address without a host is left alone.

    Raises:
        StoreError: the address cannot be read, or no server answers there.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The cause is left out: it may quote the password.
        raise StoreError(
            f"{VARIABLE} is not an address",
            found=redacted(uri),
            expected="an address such as http://HOST:PORT, with `%2F` for a `/` in a password",
        ) from None
    if not host:
        return
    try:
        if parts.scheme in {"http", "https"}:
            within(PROBE_TIMEOUT_S, lambda: _ask(parts))
        elif port:
            within(PROBE_TIMEOUT_S, lambda: socket.create_connection((host, port), timeout=PROBE_TIMEOUT_S).close())
    except OSError as error:
        raise StoreError(
            f"no MLflow server answers at {redacted(uri)}",
            found=redacted(error),
            next_step=f"start the server, or unset {VARIABLE} to use the store of this repository",
        ) from None


def authorization(parts: SplitResult, environment: Mapping[str, str]) -> str | None:
    """Return the value of the header `Authorization` that mlflow sends to a server; None if it sends none.

    Args:
        parts: address of the server, with user and password if it has any.
        environment: environment variables by name, such as those of this process.
    """
    user, password = (environment.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    # requests, on which mlflow is written, puts the address before every other source.
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
    elif not (user and password):
        return f"Bearer {token}" if token else None
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _ask(parts: SplitResult) -> None:
    """Ask a server for its health; whatever it answers, it is there."""
    place = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(f"{parts.scheme}://{place}{parts.path.rstrip('/')}/health")  # noqa: S310 (http)
    if header := authorization(parts, os.environ):
        request.add_unredirected_header("Authorization", header)
    try:
        with urllib.request.urlopen(request, timeout=PROBE_TIMEOUT_S) as answer:  # noqa: S310 (http or https)
            answer.read(1)
    except HTTPError:
        return  # the first request shows whether the server accepts us
    except URLError as error:
        if not isinstance(error.reason, ssl.SSLError):
            raise
        # mlflow has settings of its own for certificates: the first request shows whether they fit.
