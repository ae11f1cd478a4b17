"""Servers that a test starts on loopback and ends again, and the S3 server that most of them need."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any

import psutil

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a server answers at an address with success."""
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    is_ready: Callable[[], bool],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = 90,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the length of a block; it and all its children are gone afterwards.

    Args:
        command: the program and its arguments.
        log: what it prints goes here.
        is_ready: whether it answers.
        environment: its whole environment; None for ours.
        cwd: where it runs.
        seconds: how long it may take to be ready.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + seconds
        while not is_ready():
            assert process.poll() is None, f"{command} ended: {log.read_text()[-3000:]}"
            assert time.monotonic() < end, f"{command} is not ready: {log.read_text()[-3000:]}"
            time.sleep(0.1)
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[Any]) -> None:
    """Kill a process and its children."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.wait(timeout=10)


@dataclass(frozen=True)
class S3:
    """An S3 server on loopback."""

    url: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What dvc, mlflow, aws and boto3 need in their environment to use this server."""
        return KEYS | {"AWS_ENDPOINT_URL": self.url, "MLFLOW_S3_ENDPOINT_URL": self.url}

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=KEYS["AWS_DEFAULT_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )

    def sizes(self, bucket: str) -> dict[str, int]:
        """The size of every object in a bucket, by key."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """An S3 server for the length of a block; its log in `folder` has a line for each request."""
    port = free_port()
    server = S3(f"http://127.0.0.1:{port}", folder / "s3.log")
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with running(command, server.log, lambda: answers(f"{server.url}/moto-api/")):
        yield server
