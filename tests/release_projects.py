"""A repository whose one stage makes an artifact, released to real git and DVC remotes beside it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from predict.tiny_artifact import save_artifact
from tracking.repositories import GIT_ENV, Repository

ROOT = Path(__file__).parents[1]
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


class Project(Repository):
    """A repository whose one stage makes an artifact, with its remotes beside it.

    `access` is what its commands and its users need in their environment to reach the DVC remote.
    """

    def __init__(self, root: Path, access: Mapping[str, str] | None = None) -> None:
        super().__init__(root)
        self.access = dict(access or {})

    @property
    def origin(self) -> str:
        return str(self.root.parent / "origin.git")

    def environment(self, **extra: str) -> dict[str, str]:
        return super().environment(PYTHONPATH=str(ROOT / "src"), **(self.access | extra))

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
        copied = Project(folder / "project", self.access)
        copied.run("git", "remote", "set-url", "origin", copied.origin)
        return copied


def get(project: Project, folder: Path, *arguments: str) -> Path:
    """What an application developer runs in an empty folder."""
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    environment |= GIT_ENV | project.access
    command = ["dvc", "artifacts", "get", project.origin, "classifier", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "champion"


def new_project(folder: Path, remote: str, access: Mapping[str, str] | None = None) -> Project:
    """A project whose first commit is at its git remote; nothing is released.

    Args:
        folder: an empty one, for the project and its git remote.
        remote: the address of its DVC remote.
        access: see Project.
    """
    project = Project(folder / "project", access)
    save_artifact(project.root / "made")
    (project.root / "made/README.md").write_text("# the first")
    (project.root / "dvc.yaml").write_text(DVC_YAML)
    (project.root / ".gitignore").write_text("/releases/\n")
    (project.root / "requirements.lock").write_text("numpy==2.4.6\n")
    for command in ("git init -q -b main", f"git init -q --bare -b main {project.origin}", "dvc init -q"):
        project.run(*command.split())
    project.run("git", "remote", "add", "origin", project.origin)
    project.run("dvc", "remote", "add", "-q", "--default", "shared", remote)
    project.run("dvc", "repro", "-q")
    project.commit("the first")
    return project
