"""A team's remotes, a bare git repository and a bucket, with the built tiny pipeline in them, and fresh clones."""

import re
import subprocess
from pathlib import Path

from pipeline.tiny_pipeline import TinyPipeline
from services.servers import S3

BRANCH = "main"


class Clone(TinyPipeline):
    """A clone whose commands reach the S3 server."""

    def __init__(self, root: Path, s3: S3) -> None:
        super().__init__(root)
        self.s3 = s3

    def environment(self, **extra: str) -> dict[str, str]:
        return super().environment(**(self.s3.environment | extra))

    def cached(self) -> set[str]:
        """The md5 of every object in the clone's cache."""
        return {
            path.parent.name + path.name
            for path in (self.root / ".dvc/cache/files/md5").glob("*/*")
            if len(path.parent.name) == 2
        }

    def md5s(self, prefix: str) -> set[str]:
        """The md5 in dvc.lock of the outs below a folder."""
        return {out["md5"] for entry in self.lock().values() for out in entry["outs"] if out["path"].startswith(prefix)}

    def ran(self) -> list[str]:
        """The stages that ci/pull_request ran."""
        text = (self.root / "ci-out/repro.txt").read_text()
        return re.findall(r"^Running stage '([^']+)'", text, flags=re.MULTILINE)


class Team:
    """The remotes. Tests may add to them; what they take away they put back."""

    def __init__(self, built: TinyPipeline, s3: S3, bucket: str, folder: Path) -> None:
        self.s3, self.bucket, self.origin = s3, bucket, folder / "origin.git"
        author = Clone(built.copy(folder).root, s3)
        author.run("git", "branch", "-M", BRANCH)
        author.run("dvc", "remote", "add", "--default", "shared", f"s3://{bucket}/pipestill")
        author.commit("a remote")
        author.run("dvc", "push")
        author.run("git", "clone", "-q", "--bare", ".", str(self.origin))
        self.author = author

    def clone(self, folder: Path, name: str = "clone") -> Clone:
        """A fresh clone: no outs, no cache, no MLflow store."""
        subprocess.run(["git", "clone", "-q", str(self.origin), str(folder / name)], check=True)
        return Clone(folder / name, self.s3)

    def branch(self, folder: Path) -> Clone:
        """A fresh clone on a branch of its own."""
        clone = self.clone(folder)
        clone.run("git", "switch", "-q", "-c", "change")
        return clone

    def model_keys(self) -> set[str]:
        """The keys in the bucket of every file and folder list below models/."""
        keys = set()
        for md5 in self.author.md5s("models/"):
            keys.add(md5)
            if md5.endswith(".dir"):
                listed = (self.author.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).read_text()
                keys |= set(re.findall(r'"md5": "(\w+)"', listed))
        return {key_of(md5) for md5 in keys}

    def downloads(self, since: int) -> list[str]:
        """The keys of the objects that were asked for since a position in the server's log."""
        text = self.s3.log.read_text()[since:]
        return re.findall(rf'"GET /{self.bucket}/(\S+?)(?:\?\S*)? HTTP', text)


def key_of(md5: str) -> str:
    """Where DVC keeps an object in the bucket."""
    return f"pipestill/files/md5/{md5[:2]}/{md5[2:]}"
