"""A release on real git and DVC remotes, of a small artifact made by hand; and its way to an empty folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipestill.fingerprint import sha256_files
from predict.tiny_artifact import save_artifact
from tracking.repositories import GIT_ENV, Repository

ROOT = Path(__file__).parents[2]
DVC_YAML = """
stages:
  package:
    cmd: mkdir -p models && cp -r made models/champion
    deps: [made]
    outs: [models/champion]
artifacts:
  classifier:
    path: models/champion
    type: model
"""

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("release"), pytest.mark.timeout(600)]


class Project(Repository):
    """A repository whose one stage makes an artifact, with its remotes beside it."""

    @property
    def origin(self) -> str:
        return str(self.root.parent / "origin.git")

    def environment(self, **extra: str) -> dict[str, str]:
        return super().environment(PYTHONPATH=str(ROOT / "src"), **extra)

    def release(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, str(ROOT / "tools/release.py"), *arguments, check=check)

    def commit(self, message: str = "a commit") -> None:
        super().commit(message)
        self.run("git", "push", "-q", "origin", "main")

    def remote_tags(self) -> list[str]:
        return self.run("git", "--git-dir", self.origin, "tag").stdout.split()

    def copy(self, folder: Path) -> "Project":
        """A copy with a git remote of its own, for a test to change; the data remote is shared."""
        shutil.copytree(self.root, folder / "project", symlinks=True)
        shutil.copytree(self.origin, folder / "origin.git")
        copied = Project(folder / "project")
        copied.run("git", "remote", "set-url", "origin", copied.origin)
        return copied


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two releases of different files: 1.0.0, which is in production, and 1.1.0."""
    folder = tmp_path_factory.mktemp("release")
    project = Project(folder / "project")
    save_artifact(project.root / "made")
    (project.root / "made/README.md").write_text("# the first")
    (project.root / "dvc.yaml").write_text(DVC_YAML)
    for command in ("git init -q -b main", f"git init -q --bare -b main {project.origin}", "dvc init -q"):
        project.run(*command.split())
    project.run("git", "remote", "add", "origin", project.origin)
    project.run("dvc", "remote", "add", "-q", "--default", "shared", str(folder / "data"))
    project.run("dvc", "repro", "-q")
    project.commit("the first")
    project.release("release", "1.0.0", "--stage", "prod")
    (project.root / "made/README.md").write_text("# the second")
    project.run("dvc", "repro", "-q")
    project.commit("the second")
    project.release("release", "v1.1.0")
    return project


def get(project: Project, folder: Path, *arguments: str) -> Path:
    """What an application developer runs in an empty folder."""
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")} | GIT_ENV
    command = ["dvc", "artifacts", "get", project.origin, "classifier", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "champion"


def test_the_tags_are_annotated_and_at_the_remote(project: Project) -> None:
    assert project.remote_tags() == ["classifier#prod#1", "classifier@v1.0.0", "classifier@v1.1.0"]
    for tag in project.remote_tags():
        assert project.run("git", "--git-dir", project.origin, "cat-file", "-t", tag).stdout == "tag\n"


def test_each_revision_and_stage_gives_its_exact_bytes_and_they_run(project: Project, tmp_path: Path) -> None:
    first = get(project, tmp_path / "by-revision", "--rev", "v1.0.0")
    second = get(project, tmp_path / "newer", "--rev", "v1.1.0")
    in_production = get(project, tmp_path / "by-stage", "--stage", "prod")
    made = sha256_files(project.root / "made")
    assert sha256_files(second) == made
    assert sha256_files(first) == sha256_files(in_production)
    assert {name for name, digest in sha256_files(first).items() if digest != made[name]} == {"README.md"}
    code = "import sys; from pipestill.predict import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", str(in_production)]
    done = subprocess.run(command, input="good\n", capture_output=True, text=True, check=True)
    assert '"label": "yes"' in done.stdout


def test_a_version_is_promoted_later_and_the_stage_then_gives_it(project: Project, tmp_path: Path) -> None:
    other = project.copy(tmp_path)
    other.release("promote", "1.1.0", "prod")
    assert "classifier#prod#2" in other.remote_tags()
    assert sha256_files(get(other, tmp_path / "got", "--stage", "prod")) == sha256_files(project.root / "made")
    refused = other.release("promote", "3.0.0", "prod", check=False)
    assert refused.returncode == 1
    assert "classifier@v3.0.0 was never released\n  found:    classifier@v1.0.0, classifier@v1.1.0" in refused.stderr


def test_what_is_no_release_is_refused_and_leaves_no_tag(project: Project, tmp_path: Path) -> None:
    other = project.copy(tmp_path)
    tags = other.run("git", "tag").stdout

    def refusal(version: str) -> str:
        done = other.release("release", version, check=False)
        assert done.returncode == 1
        assert other.run("git", "tag").stdout == tags
        assert other.remote_tags() == tags.split()
        return done.stderr

    assert "the version is none" in refusal("1.2")
    assert "classifier@v1.1.0 is taken" in refusal("1.1.0")
    (other.root / "made/config.json").write_text("{}")
    assert "the working tree differs from its commit" in refusal("2.0.0")
    other.commit("made anew, and the pipeline not run")
    assert "the gate does not pass" in refusal("2.0.0")
    shutil.rmtree(other.root / "made/onnx")
    other.run("dvc", "repro", "-q")
    other.commit("no model")
    assert "models/champion holds no model" in refusal("2.0.0")
    other.run("git", "revert", "--no-edit", "HEAD")
    other.run("dvc", "remote", "modify", "shared", "url", str(tmp_path / "file/that/is"))
    (tmp_path / "file").write_text("")
    other.run("git", "commit", "-qam", "a remote that cannot be")
    assert "the commit is in no branch of origin" in refusal("2.0.0")
    other.run("git", "push", "-q", "origin", "main")
    assert "the data could not be pushed" in refusal("2.0.0")


def test_a_tag_that_cannot_be_pushed_is_taken_back(project: Project, tmp_path: Path) -> None:
    other = project.copy(tmp_path)
    (other.root / "note").write_text("a commit of its own")
    other.commit("a note")
    hook = Path(other.origin) / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho not today; exit 1\n")
    hook.chmod(0o755)
    tags = other.run("git", "tag").stdout
    done = other.release("release", "2.0.0", "--stage", "prod", check=False)
    assert done.returncode == 1
    assert "not today" in done.stderr
    assert other.run("git", "tag").stdout == tags
