"""The user's own files, below data/local/."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pipestill.errors import SourceError
from pipestill.sources.model_files import copy_model_files
from pipestill.sources.params import LocalDataset, LocalModel

LOCAL = Path("data/local")
"""The fetch stage depends on this folder, so that DVC sees when a file in it changes."""
_GIT_S = 20


def fetch_local_dataset(source: LocalDataset, folder: Path, local: Path = LOCAL) -> dict[str, str]:
    """Copy a data set's files.

    Returns:
        The role of each file, by its path relative to `folder`.

    Raises:
        SourceError: a path lies outside data/local/, is missing, or is not a file.
    """
    roles: dict[str, str] = {}
    for role in ("all", "train", "dev", "test", "unlabelled"):
        for name in getattr(source.files, role):
            path = inside_local(name, local)
            if not path.is_file():
                raise missing(name, path, local)
            relative = path.relative_to(local.resolve()).as_posix()
            if relative in roles:
                raise SourceError(f"{name} is named twice", found=f"as {roles[relative]} and as {role}")
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / relative)
            roles[relative] = role
    warn_of_untracked([local.resolve() / relative for relative in roles], local)
    return roles


def fetch_local_model(source: LocalModel, folder: Path, local: Path = LOCAL) -> None:
    """Copy the files of a model folder, see `model_files`; the names of all others are printed.

    Raises:
        SourceError: the path or a link in the folder leads outside data/local/, or the path is not a folder.
    """
    path = inside_local(source.path, local)
    if not path.is_dir():
        raise missing(source.path, path, local)
    warn_of_untracked([path], local)
    copy_model_files(path, folder, source.path, [local.resolve()])


def missing(name: str, path: Path, local: Path = LOCAL) -> SourceError:
    """Make the error for a missing file or folder, with the command to get it.

    Args:
        name: path as in params.yaml.
        path: path where it should lie.
        local: folder of the user's files, data/local.
    """
    root = local.resolve()
    for place in _below(path, root):
        tracked = place.with_name(f"{place.name}.dvc")
        if tracked.is_file():
            pointer = (LOCAL / tracked.relative_to(root)).as_posix()
            return SourceError(
                f"{name} is missing, but DVC tracks it",
                found=f"only the pointer {pointer}",
                expected="the file or folder itself",
                next_step=f"run `dvc pull {pointer}`",
            )
    if path.exists():
        return _another_kind(name, path)
    return SourceError(
        f"{name} is missing",
        found=f"in {LOCAL.as_posix()}: {sorted(entry.name for entry in local.glob('*'))}",
        next_step="put it there, or correct its path under `fetch` in params.yaml. A clone, `dvc exp run --temp` and "
        f"the queue have only what is tracked: `dvc add {name}` and commit {name}.dvc, or `git add {name}`",
    )


def _another_kind(name: str, path: Path) -> SourceError:
    if path.is_dir():
        found, expected = "a folder", "a file"
    elif path.is_file():
        found, expected = "a file", "a folder, as save_pretrained writes it"
    else:
        found, expected = "neither a file nor a folder", "a file; for a base, a folder as save_pretrained writes it"
    return SourceError(f"{name} is {found}", expected=expected, next_step="correct the path in params.yaml")


def untracked(paths: Sequence[Path], local: Path = LOCAL) -> list[str]:
    """Find paths that git tracks neither themselves nor through a `.dvc` file.

    Args:
        paths: paths below `local`.
        local: folder of the user's files, data/local.

    Returns:
        The paths as in params.yaml; empty without git.
    """
    command = ["git", "-C", str(local), "ls-files", "-z"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_GIT_S)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    known = {(local.resolve() / os.fsdecode(name)) for name in done.stdout.split(b"\0") if name}
    known |= {folder for name in known for folder in name.parents}
    found = []
    for path in paths:
        pointers = {place.with_name(f"{place.name}.dvc") for place in _below(path, local.resolve())}
        if path not in known and not pointers & known:
            found.append((LOCAL / path.relative_to(local.resolve())).as_posix())
    return found


def _below(path: Path, root: Path) -> list[Path]:
    """List a path and the folders it lies in, below the root."""
    return [place for place in (path, *path.parents) if place.is_relative_to(root) and place != root]


def warn_of_untracked(paths: Sequence[Path], local: Path = LOCAL) -> None:
    """Print which files a clone would not have."""
    for name in untracked(paths, local):
        print(
            f"fetch: {name} is tracked by neither DVC nor git: a clone, `dvc exp run --temp` and the queue will not "
            f"have it. Run `dvc add {name}` and commit {name}.dvc, or `git add {name}`",
            flush=True,
        )


def _resolved(path: Path, name: str) -> Path:
    try:
        resolved = path.resolve()
        resolved.exists()  # raises for a name that is too long
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a name that is too long, a NUL
        raise SourceError(
            f"{name!r} is not the path of a file", found=error, next_step="correct the path in params.yaml"
        ) from error
    return resolved


def inside_local(name: str, local: Path = LOCAL) -> Path:
    """Resolve a path from params.yaml, links included, and refuse it outside data/local/.

    Raises:
        SourceError: the path is absolute, or leads elsewhere.
    """
    root = local.resolve()
    # A path in params.yaml starts with data/local; `local` itself may lie elsewhere in a test.
    written = PurePosixPath(name)
    relative = written.relative_to(LOCAL.as_posix()) if written.is_relative_to(LOCAL.as_posix()) else None
    path = _resolved(root / relative, name) if relative is not None else None
    if path is None or not path.is_relative_to(root) or path == root:
        raise SourceError(
            f"{name} does not lie below {LOCAL.as_posix()}/",
            expected=f"a path such as {LOCAL.as_posix()}/{written.name}",
            next_step="copy it there: the pipeline watches that folder only, and would not notice a change elsewhere",
        )
    return path
