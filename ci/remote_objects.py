"""The objects of a DVC remote that dvc.lock names: which are missing, and which have other bytes than they should."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipestill.tracking.inputs import md5_stream


class Faults(NamedTuple):
    """Faults of a remote, a line for each place that names an object: stage, path, md5.

    Attributes:
        missing: places whose object the remote lacks.
        changed: places whose object has other bytes than its md5 says.
    """

    missing: list[str]
    changed: list[str]


def find_faults(repo: Any, stages: list[Any], odb: Any, *, everything: bool) -> Faults:  # noqa: ANN401 (dvc's)
    """Look up in a remote the outs of some stages; the lists of folders and what a release consists of are read.

    Args:
        repo: DVC's repository.
        stages: stages, and .dvc files of own data, whose outs are looked up.
        odb: DVC's object database of the remote.
        everything: read every object, not only those of the artifacts that dvc.yaml declares.
    """
    released = released_paths(repo)
    folders: dict[str, list[str]] = {}
    files: dict[str, list[str]] = {}
    read: set[str] = set()
    for stage in stages:
        for out in stage.outs:
            if out.hash_info and out.use_cache and out.can_push:
                md5 = out.hash_info.value
                (folders if out.hash_info.isdir else files).setdefault(md5, []).append(f"{stage.addressing}: {out}")
                if everything or any(_overlap(Path(out.fs_path), path) for path in released):
                    read.add(md5)
    listed = existing(odb, set(folders))
    changed = {md5 for md5 in listed if found_md5(odb, md5) != md5.removesuffix(".dir")}
    for md5 in sorted(listed - changed):
        for path, member in members(odb, md5):
            files.setdefault(member, []).extend(f"{place}/{path}" for place in folders[md5])
            if md5 in read:
                read.add(member)
    present = existing(odb, set(files))
    changed |= {md5 for md5 in read & present if found_md5(odb, md5) != md5}
    wanted = folders | files
    return Faults(_places(wanted, set(wanted) - listed - present), _places(wanted, changed))


def released_paths(repo: Any) -> list[Path]:  # noqa: ANN401 (dvc has no types for us)
    """List the paths of the artifacts that the repository's dvc.yaml files declare."""
    return [
        Path(repo.root_dir, Path(file).parent, artifact.path)
        for file, artifacts in repo.artifacts.read().items()
        for artifact in artifacts.values()
        if artifact.path
    ]


def existing(odb: Any, md5s: set[str]) -> set[str]:  # noqa: ANN401 (dvc has no types for us)
    """Return those of some objects that a remote holds."""
    ask: Callable[[set[str]], list[str]] = odb.oids_exist
    return set(ask(md5s)) if md5s else set()


def found_md5(odb: Any, md5: str) -> str:  # noqa: ANN401 (dvc has no types for us)
    """Compute the md5 of the bytes that a remote holds under some md5; nothing is kept."""
    with odb.fs.open(odb.oid_to_path(md5), "rb") as file:
        return md5_stream(file)


def members(odb: Any, md5: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (dvc has no types for us)
    """Yield the path and md5 of each file in a folder, from the list that the remote holds."""
    with odb.fs.open(odb.oid_to_path(md5), "rb") as file:
        for entry in json.load(file):
            yield entry["relpath"], entry["md5"]


def _overlap(out: Path, artifact: Path) -> bool:
    return out == artifact or out in artifact.parents or artifact in out.parents


def _places(wanted: dict[str, list[str]], md5s: set[str]) -> list[str]:
    return sorted(f"{place} (md5 {md5})" for md5 in md5s for place in wanted[md5])
