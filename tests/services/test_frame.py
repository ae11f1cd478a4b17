"""The frame of the services tier itself."""

from pathlib import Path

import psutil
import pytest

import programs
from services.servers import S3, answers, s3_server
from tracking.repositories import Repository


def test_every_test_here_is_of_the_services_tier(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("services")


def test_dvc_pushes_to_s3_and_a_wiped_cache_pulls_the_same_bytes(s3: S3, bucket: str, tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.run("git", "init", "-q")
    repository.run("dvc", "init", "-q")
    repository.run("dvc", "remote", "add", "--default", "shared", f"s3://{bucket}/pipestill")
    (tmp_path / "model").write_bytes(b"weights" * 1000)
    repository.run("dvc", "add", "-q", "model")
    repository.run("dvc", "push", **s3.environment)
    assert list(s3.sizes(bucket).values()) == [7000]
    repository.run("rm", "-r", ".dvc/cache", "model")
    repository.run("dvc", "pull", **s3.environment)
    assert (tmp_path / "model").read_bytes() == b"weights" * 1000


def test_a_server_is_gone_after_its_block(tmp_path: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    with s3_server(tmp_path) as server:
        assert answers(f"{server.url}/moto-api/")
    assert not answers(f"{server.url}/moto-api/")
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_missing_program_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "POSTGRESQL", tmp_path)
    with pytest.raises(programs.MissingProgramError, match="apt-get install postgresql"):
        programs.find("initdb")
