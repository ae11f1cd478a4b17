"""The frame of the services tier itself."""

from pathlib import Path

import psutil
import pytest

import programs
from services.missing import skipped_where_missing
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
    monkeypatch.setenv("MISSING", "fail")
    with pytest.raises(programs.MissingProgramError), skipped_where_missing():
        programs.find("initdb")
    monkeypatch.setenv("MISSING", "skip")
    with pytest.raises(pytest.skip.Exception, match="initdb is not installed"), skipped_where_missing():
        programs.find("initdb")
    assert set(programs.missing()) == set(programs.PACKAGES)


def test_missing_programs_are_installed_once_each_and_a_refusal_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apt_get, called = tmp_path / "apt-get", tmp_path / "called"
    apt_get.write_text(f'#!/bin/sh\necho "$@" >> {called}\n[ "$2" = update ] || {{ echo no network >&2; exit 100; }}\n')
    apt_get.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    programs.install([])
    assert not called.exists()
    programs.install(["initdb", "pg_ctl", "node"])
    assert called.read_text().splitlines() == [
        "-qq update",
        "-qq install --yes --no-install-recommends nodejs postgresql",
    ]
    assert "failed: no network" in capsys.readouterr().out
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    programs.install(["node"])
    assert len(called.read_text().splitlines()) == 2
