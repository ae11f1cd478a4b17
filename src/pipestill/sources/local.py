"""Files of one's own, below data/local/."""

import shutil
from pathlib import Path, PurePosixPath

from pipestill.errors import SourceError
from pipestill.sources.params import LocalDataset, LocalModel

LOCAL = Path("data/local")
"""The fetch stage depends on this folder, so that DVC sees when a file in it changes."""


def fetch_local_dataset(source: LocalDataset, folder: Path, local: Path = LOCAL) -> dict[str, str]:
    """Copy a data set's files.

    Returns:
        The role of each file, by its path relative to `folder`.

    Raises:
        SourceError: a path lies outside data/local/, is missing, or is no file.
    """
    roles: dict[str, str] = {}
    for role in ("all", "train", "dev", "test", "unlabelled"):
        for name in getattr(source.files, role):
            path = inside_local(name, local)
            if not path.is_file():
                raise SourceError(
                    f"{name} is missing or no file",
                    found=f"in {local}: {sorted(entry.name for entry in local.glob('*'))}",
                    next_step="put the file there, or correct its path under fetch.dataset.files in params.yaml",
                )
            relative = path.relative_to(local.resolve()).as_posix()
            if relative in roles:
                raise SourceError(f"{name} is named twice", found=f"as {roles[relative]} and as {role}")
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / relative)
            roles[relative] = role
    return roles


def fetch_local_model(source: LocalModel, folder: Path, local: Path = LOCAL) -> None:
    """Copy the files of a model folder; folders inside it are left out.

    Raises:
        SourceError: the path lies outside data/local/ or is no folder.
    """
    path = inside_local(source.path, local)
    if not path.is_dir():
        raise SourceError(f"{source.path} is missing or no folder", expected="a folder written by save_pretrained")
    for file in sorted(path.iterdir()):
        if file.is_file():
            shutil.copyfile(file, folder / file.name)


def inside_local(name: str, local: Path = LOCAL) -> Path:
    """Resolve a path from params.yaml, links included, and refuse it outside data/local/.

    Raises:
        SourceError: the path is absolute, or leads elsewhere.
    """
    root = local.resolve()
    # A path in params.yaml starts with data/local; `local` itself may lie elsewhere in a test.
    written = PurePosixPath(name)
    relative = written.relative_to(LOCAL.as_posix()) if written.is_relative_to(LOCAL.as_posix()) else None
    path = (root / relative).resolve() if relative is not None else None
    if path is None or not path.is_relative_to(root) or path == root:
        raise SourceError(
            f"{name} does not lie below {LOCAL.as_posix()}/",
            expected=f"a path such as {LOCAL.as_posix()}/{written.name}",
            next_step="copy it there: the pipeline watches that folder only, and would not notice a change elsewhere",
        )
    return path
