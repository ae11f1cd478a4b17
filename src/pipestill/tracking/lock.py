"""Reading dvc.lock, and fetching the run records and reports it names, one by one and never a model."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from pipestill.code.lists import CodeList
from pipestill.errors import RecordError
from pipestill.fingerprint import sha256_json
from pipestill.records import read_json, read_record
from pipestill.tracking.identity import StageIdentity, hashes_of, identity_of, md5_of
from pipestill.tracking.run_record import RunRecord, record_path
from pipestill.tracking.writer import say

LOCK = Path("dvc.lock")
MAIN = Path()
"""The folder of the main pipeline's files, relative to the repository's root."""
PIPELINES = Path("pipelines")
"""The folder that holds a folder for every other pipeline."""


class Made(NamedTuple):
    """One stage in dvc.lock: its identity, the md5 of its outs and of its run record (None if it writes none)."""

    identity: StageIdentity
    outs: dict[str, str]
    record_md5: str | None


class Lock:
    """The dvc.lock of one of a repository's pipelines, and DVC's cache and remote behind it.

    Attributes:
        root: root of the repository.
        pipeline: folder of the pipeline's files, relative to the root.
        stages: the stages that were run, with their hashes.
    """

    def __init__(self, root: Path, pipeline: Path = MAIN) -> None:
        from dvc.repo import Repo

        self._repo = Repo(str(root))
        self.root = Path(self._repo.root_dir)
        self.pipeline = pipeline
        self.stages = read_lock(self.root / pipeline / LOCK)

    @property
    def key(self) -> str:
        """Return the content address of the pipeline's state: a hash over the identity and the outs of every stage."""
        return sha256_json({made.identity.stage: [made.identity.key, made.outs] for made in self.stages})

    def records(self) -> dict[str, RunRecord]:
        """Read the run record of each stage that has one, from the cache or else from the remote."""
        md5s = {made.identity.stage: made.record_md5 for made in self.stages if made.record_md5}
        self._fetch(md5s.values(), "run record(s)")
        records = {}
        for made in self.stages:
            stage = made.identity.stage
            md5 = md5s.get(stage)
            if md5 is None or not self._cached(md5).exists():
                continue
            try:
                record = read_record(self._cached(md5), RunRecord)
            except RecordError as error:
                say(f"the run record of {stage} is skipped: {error}")
                continue
            records[stage] = record
        return records

    def outs(self) -> dict[str, str]:
        """Return the md5 of every out of every stage by path, run records excepted."""
        return {path: md5 for made in self.stages for path, md5 in made.outs.items()}

    def maker(self, path: Path) -> Made | None:
        """Return the stage that made an out; None if no stage did."""
        return next((made for made in self.stages if path.as_posix() in made.outs), None)

    def holds(self, path: Path) -> bool:
        """Return whether a file or folder in the workspace has the md5 that dvc.lock names."""
        outs = self.outs()
        out = next((name for name in map(Path.as_posix, (path, *path.parents)) if name in outs), None)
        if out is None or not (self.root / path).exists():
            return False
        return md5_of(self._repo, str(self.root / out)) == outs[out]

    def files(self, folder: Path) -> dict[str, str]:
        """Return the md5 of each out that is a file directly in a folder, by file name."""
        paths = {Path(path): md5 for path, md5 in self.outs().items() if not md5.endswith(".dir")}
        return {path.name: md5 for path, md5 in paths.items() if path.parent == folder}

    def contents(self, folder: Path) -> dict[str, bytes]:
        """Read those files' contents by name, from the cache or the remote and never from the workspace.

        A file found in neither is left out with a warning.
        """
        files = self.files(folder)
        self._fetch(files.values(), f"file(s) of {folder}")
        return {name: self._cached(md5).read_bytes() for name, md5 in files.items() if self._cached(md5).exists()}

    def code_lists(self, md5s: Iterable[str]) -> dict[str, CodeList]:
        """Find the code lists with some md5, of this lock or another commit's, from the cache or the remote.

        A list that is in neither is left out, and that is said.
        """
        return self._json_files(md5s, "code list(s)")

    def settings(self, md5s: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Find the files of students' settings with some md5, in the same way."""
        return self._json_files(md5s, "settings of student(s)")

    def is_committed(self) -> bool:
        """Return whether git's HEAD holds exactly this dvc.lock."""
        path = str(self.pipeline / LOCK)
        tracked = ["git", "ls-files", "--error-unmatch", path]
        same = ["git", "diff", "--quiet", "HEAD", "--", path]
        return all(
            subprocess.run(command, cwd=self.root, capture_output=True, check=False).returncode == 0  # noqa: S603
            for command in (tracked, same)
        )

    def _json_files(self, md5s: Iterable[str], what: str) -> dict[str, Any]:
        wanted = set(md5s)
        self._fetch(wanted, what)
        return {md5: read_json(self._cached(md5)) for md5 in sorted(wanted) if self._cached(md5).exists()}

    def _cached(self, md5: str) -> Path:
        return Path(self._repo.cache.local.oid_to_path(md5))

    def _fetch(self, md5s: Iterable[str], what: str) -> None:
        """Fetch files that the cache lacks from the remote; a missing file or remote is only a warning."""
        from dvc.config import NoRemoteError
        from dvc.exceptions import DvcException
        from dvc_data.hashfile.hash_info import HashInfo

        missing = sorted({md5 for md5 in md5s if not self._cached(md5).exists()})
        if not missing:
            return
        try:
            self._repo.cloud.pull([HashInfo("md5", md5) for md5 in missing])
        except NoRemoteError:
            return
        except (DvcException, OSError) as error:
            say(f"{len(missing)} {what} are neither in the cache nor to be had from the remote: {error}")


def repository_of(folder: Path) -> Path:
    """Return the root of the repository that a folder lies in."""
    from dvc.repo import Repo

    return Path(Repo.find_root(str(folder)))


def stage_names(pipeline: Path = Path("dvc.yaml")) -> tuple[str, ...]:
    """List the stages that a dvc.yaml defines, those of a matrix one by one; empty where DVC cannot read the file.

    Neither dvc.lock nor any dependency is read, which takes DVC longer than all the rest.
    """
    from dvc.dvcfile import load_file
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return tuple(load_file(repo, str(pipeline)).resolver.get_keys())
    except DvcException:
        return ()


def pipelines_with_lock(root: Path) -> list[Path]:
    """List the folders of pipelines with a dvc.lock, relative to the root: the main one first, others by name."""
    others = sorted(path.parent.relative_to(root) for path in (root / PIPELINES).glob(f"*/{LOCK}"))
    return [*([MAIN] if (root / LOCK).exists() else []), *others]


def read_lock(path: Path) -> list[Made]:
    """Read the stages of a dvc.lock, sorted by name.

    Raises:
        RecordError: the file is missing: the pipeline never ran.
    """
    try:
        content: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path.name} cannot be read", found=error, next_step="run `dvc repro` first") from error
    made = []
    for stage, entry in sorted(content.get("stages", {}).items()):
        outs = hashes_of(entry.get("outs", []))
        record_md5 = outs.pop(record_path(stage).as_posix(), None)
        made.append(Made(identity_of(stage, entry), outs, record_md5))
    return made
