"""A data set's repository on disk: nothing outside it is read, whatever its own files name.

The library `datasets` follows what a repository says: a README (`configs: data_files`) or state.json may name a URL or
a file elsewhere, and a link may lead there. So all names are checked before the library sees the folder, and the files
that it found are checked before they are read.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pipestill.errors import SourceError
from pipestill.json_text import parse_json
from pipestill.sources.links import refuse_leaving

README = "README.md"
SETTINGS = ".huggingface.yaml"
"""A second place for a README's settings, which the library reads and no data set of the hub needs."""
DISK_SET, DISK_STATE = "dataset_dict.json", "state.json"
"""Files of a data set written by `save_to_disk`: the names of its splits, and the names of a split's files."""
_PATH_KEYS = ("data_files", "data_dir")
_DEEPEST = 4
_ELSEWHERE = (":", "\\", "\0")
"""Characters of URLs, chained URLs and other systems' paths."""


def roots_of(repository: Path) -> list[Path]:
    """List the folders that a repository's files lie in: its own, and in the hub's cache the one its links lead to."""
    folder = repository.resolve()
    return [folder, folder.parents[1] / "blobs"] if folder.parent.name == "snapshots" else [folder]


def check_repository(repository: Path, repo: str) -> None:
    """Refuse a repository that leads outside itself.

    Args:
        repository: folder of its files.
        repo: its name, for messages.

    Raises:
        SourceError: a link leaves it, an entry is neither a file nor a folder, or a README,
            dataset_dict.json or state.json names a URL, an absolute path or a parent folder; the message names it.
    """
    roots = roots_of(repository)
    for path in _entries(repository):
        name = f"{repo}/{path.relative_to(repository).as_posix()}"
        refuse_leaving(path, name, roots)
        if not path.is_file() and not path.is_dir():
            raise SourceError(f"{name} is neither a file nor a folder", expected="files and folders only")
    if (repository / SETTINGS).exists():
        raise _not_readable(f"{repo}/{SETTINGS}", "settings in a file of their own")
    for file, entry in _named(repository, repo):
        _refuse_outside(entry, f"{repo}/{file}")


def check_found(files: Iterable[str], repository: Path, repo: str) -> None:
    """Refuse files that a library found for a repository, if one lies outside it.

    Args:
        files: paths or URLs.
        repository: folder of the repository's files.
        repo: its name, for messages.

    Raises:
        SourceError: one does; the message names it.
    """
    roots = roots_of(repository)
    for file in files:
        if not any(Path(os.path.normpath(file)).resolve().is_relative_to(root) for root in roots):
            raise _outside(file, repo)


def _entries(repository: Path) -> Iterator[Path]:
    """List files and folders; folders behind links are listed, not entered."""
    for folder, folders, files in os.walk(repository):
        yield from (Path(folder, name) for name in sorted((*folders, *files)))


def _named(repository: Path, repo: str) -> Iterator[tuple[str, object]]:
    """List what the repository's own files name as data, with the file that names it."""
    for entry in _configs(_settings(repository / README, f"{repo}/{README}")):
        for key in _PATH_KEYS:
            yield from ((README, found) for found in _strings(entry.get(key), f"{repo}/{README}"))
    for split in _splits(repository, repo):
        yield DISK_SET, split
        yield from ((f"{split}/{DISK_STATE}", file) for file in _files_of(repository, split, repo))


def disk_files(repository: Path, repo: str) -> list[str]:
    """List the Arrow files of a data set written by `save_to_disk`, relative to its folder; empty for another one."""
    return [f"{split}/{file}" for split in _splits(repository, repo) for file in _files_of(repository, split, repo)]


def _splits(repository: Path, repo: str) -> list[Any]:
    return _list(_json(repository, DISK_SET, repo), "splits") if (repository / DISK_SET).exists() else []


def _files_of(repository: Path, split: object, repo: str) -> list[Any]:
    """List what a split's state.json names as its files."""
    state = f"{split}/{DISK_STATE}"
    files = _list(_json(repository, state, repo), "_data_files") if (repository / state).exists() else []
    return [file.get("filename") if isinstance(file, Mapping) else file for file in files]


def _configs(settings: object) -> list[Mapping[str, Any]]:
    """List the entries of `configs`."""
    configs = settings.get("configs") if isinstance(settings, Mapping) else None
    return [entry for entry in configs if isinstance(entry, Mapping)] if isinstance(configs, list) else []


def _strings(value: object, where: str, depth: int = 0) -> Iterator[str]:
    """List the strings in a value: at most a list of splits, each with a list of paths."""
    if depth > _DEEPEST:
        raise _not_readable(where, f"`data_files` nested more than {_DEEPEST} deep")
    if isinstance(value, str):
        yield value
    for member in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _strings(member, where, depth + 1)


def _list(content: object, key: str) -> list[Any]:
    value = content.get(key) if isinstance(content, Mapping) else None
    return value if isinstance(value, list) else []


def _settings(readme: Path, name: str) -> object:
    """Read the YAML in a README as the library does; None where there is none."""
    from huggingface_hub import DatasetCard

    try:
        return DatasetCard.load(readme).data.to_dict() if readme.is_file() else None
    except Exception as error:  # the exceptions of DatasetCard have no common base class
        raise _not_readable(name, error) from error


def _json(repository: Path, name: str, repo: str) -> object:
    try:
        return parse_json((repository / name).read_bytes())
    except ValueError as error:
        raise _not_readable(f"{repo}/{name}", error) from error


def _refuse_outside(entry: object, where: str) -> None:
    path = PurePosixPath(entry) if isinstance(entry, str) else PurePosixPath("/")
    away = path.as_posix().startswith(("/", "~")) or ".." in path.parts
    if away or any(mark in path.as_posix() for mark in _ELSEWHERE):
        raise _outside(entry, where)


def _outside(entry: object, where: str) -> SourceError:
    return SourceError(
        f"{where} names data outside its repository",
        found=repr(entry),
        expected="paths inside the repository: only its files at the pinned commit are read",
        next_step="choose another data set, or download the files and use them as a `local` source",
    )


def _not_readable(what: str, error: Exception | str) -> SourceError:
    return SourceError(
        f"{what} cannot be read",
        found=error,
        expected="settings in the README that the library `datasets` can read",
        next_step="choose another data set, or download the files and use them as a `local` source",
    )
