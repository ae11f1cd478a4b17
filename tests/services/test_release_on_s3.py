"""A release whose data lie on S3, and its way to an empty folder of somebody with the bucket's keys alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipestill.fingerprint import sha256_files
from release_projects import get, new_project
from services.servers import S3

pytestmark = pytest.mark.timeout(900)


def test_a_release_on_s3_comes_byte_for_byte_by_revision_and_by_stage_and_runs(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    project = new_project(tmp_path, f"s3://{bucket}/pipestill", s3.environment)
    done = project.release("release", "1.0.0", "--stage", "prod")
    assert "pushed to origin: classifier#prod#1, classifier@v1.0.0" in done.stdout
    made = sha256_files(project.root / "made")
    assert len(s3.sizes(bucket)) >= len(made)
    shutil.rmtree(project.root)  # what is got now comes from the remotes
    got = get(project, tmp_path / "by-revision", "--rev", "v1.0.0")
    assert sha256_files(got) == sha256_files(get(project, tmp_path / "by-stage", "--stage", "prod")) == made
    code = "import sys; from pipestill.predict.command import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", str(got)]
    done = subprocess.run(command, input="good\n", capture_output=True, text=True, check=True)
    assert '"label": "yes"' in done.stdout


def test_a_release_is_refused_while_the_bucket_cannot_be_written(s3: S3, tmp_path: Path) -> None:
    project = new_project(tmp_path, "s3://no-such-bucket/pipestill", s3.environment)
    done = project.release("release", "1.0.0", check=False)
    assert done.returncode == 1
    assert "the data could not be pushed" in done.stderr
    assert project.remote_tags() == []
