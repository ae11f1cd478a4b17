"""The identity of a stage's execution: md5 of its inputs and outputs, its settings, their key, and the git commit.

DVC tells a stage its address in `$DVC_STAGE` and the main repository in `$DVC_ROOT`. In `dvc exp run --temp` and a
queue the stage runs in a copy of the repository: its dvc.yaml and files are read there, and only the store and the
scratch folder lie in `$DVC_ROOT`.

A stage's address has the path of its dvc.yaml as seen from where DVC was started: `pipelines/ablation/dvc.yaml:NAME`,
or `NAME` alone in that folder. Its name is what follows; no two pipelines have a stage of the same name.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.fingerprint import sha256_json
from pipestill.records import Record


class StageIdentity(Record):
    """The request that a stage answers: its command, the md5 of its deps as DVC computes them, its params by file."""

    stage: str
    cmd: str
    deps: dict[str, str]
    params: dict[str, dict[str, Any]]

    @property
    def key(self) -> str:
        """Return the content address of the request: a SHA-256 over cmd, deps and params in 64 hexadecimal digits."""
        return sha256_json({"cmd": self.cmd, "deps": self.deps, "params": self.params})


def current_stage() -> str | None:
    """Return the address of the stage that DVC is running in this process, or None."""
    return os.environ.get("DVC_STAGE")


def name_in(address: str) -> str:
    """Return the stage's name in an address."""
    return address.rpartition(":")[2]


def home() -> Path:
    """Return the root of the main repository, which holds the store and the scratch folders."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd())


def identity_of(stage: str, entry: Mapping[str, Any]) -> StageIdentity:
    """Read an identity from a stage's entry in dvc.lock.

    Args:
        stage: name of the stage, such as `distill@bert_l3`.
        entry: its mapping in dvc.lock, or an equal one made in memory.

    Returns:
        The identity; equal requests give equal keys wherever they are read.
    """
    cmd = entry["cmd"]
    return StageIdentity(
        stage=stage,
        cmd=cmd if isinstance(cmd, str) else "\n".join(cmd),
        deps=hashes_of(entry.get("deps", [])),
        params={file: _plain(values) for file, values in entry.get("params", {}).items()},
    )


def hashes_of(items: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return the md5 of deps or outs in dvc.lock by path, sorted; an entry without md5 (not made yet) is left out."""
    return {item["path"]: item["md5"] for item in sorted(items, key=lambda item: item["path"]) if item.get("md5")}


def _plain(value: Any) -> Any:  # noqa: ANN401 (any YAML value)
    """Convert YAML containers to plain ones, and a whole float to an int, as DVC writes it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


class Workspace:
    """The repository that a stage runs in, read through DVC, whose state holds the hashes of its files."""

    def __init__(self, address: str) -> None:
        from dvc.repo import Repo

        self._repo = Repo()
        self._stage = _found(self._repo, address)

    def identity(self) -> StageIdentity:
        """Compute the stage's identity from the files and params as they are now."""
        from dvc.stage.serialize import to_single_stage_lockfile

        self._stage.save_deps()
        return identity_of(str(self._stage.name), to_single_stage_lockfile(self._stage))

    def outs(self, without: Path) -> dict[str, str]:
        """Return the md5 of every existing out by path, except `without`: the run record cannot hold its own."""
        outs = [out for out in self._stage.outs if out.def_path != without.as_posix() and out.exists]
        return {out.def_path: md5_of(self._repo, out.fs_path) for out in sorted(outs, key=lambda out: out.def_path)}

    def inputs(self) -> dict[Path, str]:
        """Return the md5 by which DVC names each file that the stage depends on, those in folders one by one."""
        deps = [dep for dep in self._stage.deps if dep.protocol == "local" and not hasattr(dep, "params")]
        return {path: md5 for dep in deps if dep.exists for path, md5 in _files_of(self._repo, dep.fs_path).items()}

    def md5(self, path: Path) -> str:
        """Return DVC's present md5 of a file, or of a folder with `.dir` appended."""
        return md5_of(self._repo, str(path.absolute()))


def _found(repo: Any, address: str) -> Any:  # noqa: ANN401 (dvc has no types for us)
    """Return DVC's stage by its address, or by its name where DVC was not started in the root."""
    from dvc.exceptions import DvcException

    try:
        return repo.stage.get_target(address)
    except DvcException:
        found = [stage for stage in repo.index.stages if getattr(stage, "name", None) == name_in(address)]
        if len(found) != 1:
            raise
        return found[0]


def md5_of(repo: Any, path: str) -> str:  # noqa: ANN401 (dvc has no types for us)
    """Return DVC's present md5 of a file, or of a folder with `.dir` appended; `repo` is DVC's open repository."""
    return str(_build(repo, path).hash_info.value)


def _files_of(repo: Any, path: str) -> dict[Path, str]:  # noqa: ANN401 (dvc has no types for us)
    """Return DVC's present md5 of a file, or of each file in a folder, by path relative to the current folder."""
    built = _build(repo, path)
    short = Path(os.path.relpath(path))
    if not built.hash_info.isdir:
        return {short: str(built.hash_info.value)}
    return {short.joinpath(*key): str(hash_info.value) for key, _, hash_info in built}


def _build(repo: Any, path: str) -> Any:  # noqa: ANN401 (dvc has no types for us)
    """Let DVC name a file or folder by the hashes in its state; only those that are not there are computed."""
    from dvc.fs import localfs
    from dvc_data.hashfile.build import build

    _, _, built = build(repo.cache.local, path, localfs, "md5", ignore=repo.dvcignore, dry_run=True)
    return built


def git_state(root: Path | None = None) -> tuple[str | None, bool | None]:
    """Return the checked-out commit, and whether tracked files differ from it; None without git.

    Every dvc.lock is left out of the comparison: DVC rewrites it between two stages of one `dvc repro`.
    """
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude,glob)**/dvc.lock")
    return commit, None if changes is None else bool(changes)


def git_tags(root: Path, pattern: str) -> tuple[str, ...]:
    """Return the tags on HEAD that match a pattern; an empty list without git."""
    return tuple((_git(root, "tag", "--points-at", "HEAD", "--list", pattern) or "").split())


def _git(root: Path | None, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603, S607
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
