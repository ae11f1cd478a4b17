"""The tier of tests that need services: every test in this folder is marked, and fails where its service is missing.

With MISSING=skip it is skipped instead, and the summary names the program; see missing.py.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.conftest import built, shared, unbuilt  # noqa: F401 (fixtures)
from pipeline.tiny_pipeline import TinyPipeline
from services.missing import skipped_where_missing
from services.servers import S3, s3_server
from services.team import Team


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.services)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with skipped_where_missing():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with skipped_where_missing():
        return (yield)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server on loopback, one for each worker of pytest."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3: S3) -> str:
    """The name of a new bucket on the S3 server."""
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    s3.client().create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def team(
    built: TinyPipeline,  # noqa: F811 (the fixture)
    s3: S3,
    tmp_path_factory: pytest.TempPathFactory,
) -> Team:
    """A bare git repository and a bucket that hold the built tiny pipeline."""
    s3.client().create_bucket(Bucket="team")
    return Team(built, s3, "team", tmp_path_factory.mktemp("team"))
