"""Hugging Face data sets and models, pinned to a commit.

A repository is first downloaded as files (`snapshot_download`), then read from disk, so that exactly this commit is
read. A short probe comes first, since the libraries retry for minutes without a network.
"""

import csv
import gzip
import shutil
import zlib
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from pipestill.errors import SourceError
from pipestill.json_text import parse_json, refuse_deep
from pipestill.raw import MAX_ROW_BYTES, Reader
from pipestill.sources.arrow_files import check_arrow
from pipestill.sources.model_files import MODEL_FILES, copy_model_files, print_left_behind
from pipestill.sources.params import HubDataset, HubModel
from pipestill.sources.repository import DISK_SET, check_found, check_repository, disk_files, roots_of

PROBE_TIMEOUT_S = 5.0
ROLES = ("train", "dev", "test", "unlabelled")
HUB_CACHE = Path(".scratch/hub")
BUILT = ("arrow", "json", "text")
"""Builders of `datasets` whose files become parquet here."""
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".xz", ".bz2", ".zst", ".lz4")
_CHUNK_BYTES = 1 << 20

Snapshot = Callable[[str, str, str], Path]
"""Function from (repo, revision, `model` or `dataset`) to the folder with the repository's files at that commit."""


def snapshot_from_hub(repo: str, revision: str, repo_type: str) -> Path:
    """Download a repository at a commit.

    Raises:
        SourceError: the hub cannot be reached within seconds, or has no such repository or commit.
    """
    import huggingface_hub

    try:
        info = huggingface_hub.HfApi().repo_info(repo, revision=revision, repo_type=repo_type, timeout=PROBE_TIMEOUT_S)
        folder = huggingface_hub.snapshot_download(
            repo,
            revision=revision,
            repo_type=repo_type,
            cache_dir=HUB_CACHE,
            allow_patterns=list(MODEL_FILES) if repo_type == "model" else None,
        )
    except Exception as error:  # its HTTP layer's exceptions change with its version
        raise SourceError(
            f"the {repo_type} {repo} could not be fetched from the hub",
            found=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}",
            expected=f"a reachable hub that has the commit {revision}",
            next_step="check the network and the name, or use a `package`, named or `local` source",
        ) from error
    if repo_type == "model":
        print_left_behind(repo, (file.rfilename for file in getattr(info, "siblings", None) or ()))
    return Path(folder)


def fetch_hub_dataset(
    source: HubDataset, folder: Path, snapshot: Snapshot = snapshot_from_hub
) -> tuple[dict[str, str], Reader]:
    """Fetch the wanted splits in formats that the reader of local files reads too.

    csv, JSON lines and parquet are copied unchanged, since the library `datasets` would guess types: `01` would become
    1 and `NA` a missing value. A JSON list, Arrow files and plain text become parquet with the columns `text` and
    `label`, whose values keep their types; label numbers become names. All other formats are refused.

    Returns:
        The role of each file, by its path relative to `folder`; and the reader of the files.

    Raises:
        SourceError: the repository cannot be fetched, lacks a split or a column, or names data outside itself.
    """
    repository = snapshot(source.repo, source.revision, "dataset")
    check_repository(repository, source.repo)
    for name in disk_files(repository, source.repo):
        check_arrow(repository / name, f"{source.repo}/{name}")
    opened = _open(source, repository)
    splits = dict(opened.config.data_files) if hasattr(opened, "config") else opened
    wanted = {role: getattr(source, role) for role in ROLES if getattr(source, role) is not None}
    for name in wanted.values():
        if name not in splits:
            raise SourceError(
                f"{source.repo} has no split `{name}`",
                found=sorted(map(str, splits)),
                expected="the name of a split under fetch.dataset.train, dev, test and unlabelled",
            )
    if not hasattr(opened, "config"):
        return _as_parquet(source, opened, wanted, folder)
    check_found(chain.from_iterable(splits.values()), repository, source.repo)
    files = {role: [Path(file) for file in splits[name]] for role, name in wanted.items()}
    reader = reader_of(opened, source, files)
    if reader is None:
        _check_buildable(source, opened, chain.from_iterable(splits.values()))
        return _as_parquet(source, _built(source, opened), wanted, folder)
    roles = {}
    for role, paths in files.items():
        for place, path in enumerate(paths):
            name = f"{role}{f'-{place:03d}' if len(paths) > 1 else ''}{''.join(path.suffixes[-2:])}"
            shutil.copyfile(path, folder / name)
            roles[name] = role
    return roles, reader


def _open(source: HubDataset, repository: Path) -> Any:  # noqa: ANN401 (datasets has no types for us)
    """Open a data set written by `save_to_disk`, or else the builder of the repository's files."""
    import datasets

    try:
        if (repository / DISK_SET).exists():
            return datasets.load_from_disk(str(repository))
        return datasets.load_dataset_builder(str(repository), source.config, cache_dir=".scratch/datasets")
    except Exception as error:  # its exceptions share no base class
        raise _unreadable(source, error) from error


def _check_buildable(source: HubDataset, builder: Any, files: Iterable[str]) -> None:  # noqa: ANN401 (as above)
    """Refuse files whose reading cannot be bounded: archives, formats of programs, JSON that is nested too deeply."""
    kind = _kind_of(builder)
    for file in map(Path, files):
        if kind not in BUILT or file.suffix in ARCHIVES:
            raise SourceError(
                f"{source.repo}/{file.name} is of a format that is not read",
                found=f"an archive, {file.suffix}" if kind in BUILT else f"data for the builder `{kind}`",
                expected="csv, JSON, parquet, Arrow or plain text, as it is or compressed by gzip",
                next_step="unpack or convert the files, and use them as a `local` source",
            )
        if kind == "json":
            _check_depth(source, file)
        if kind == "arrow":
            check_arrow(file, f"{source.repo}/{file.name}")


def _check_depth(source: HubDataset, file: Path) -> None:
    try:
        with _opened(file) as content:
            refuse_deep(chunk.decode("latin-1") for chunk in iter(lambda: content.read(_CHUNK_BYTES), b""))
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise _unreadable(source, error) from error


def _opened(file: Path) -> BinaryIO:
    """Open a file for reading, through gzip where its name ends in .gz."""
    return cast("BinaryIO", gzip.open(file)) if file.suffix == ".gz" else file.open("rb")


def _kind_of(builder: Any) -> str:  # noqa: ANN401 (as above)
    """Return the name of a packaged builder's module: csv, json, parquet, arrow, text, imagefolder, ..."""
    return str(type(builder).__module__.rpartition(".")[2])


def _built(source: HubDataset, builder: Any) -> Any:  # noqa: ANN401 (datasets has no types for us)
    try:
        builder.download_and_prepare()
        return builder.as_dataset()
    except Exception as error:  # as above
        raise _unreadable(source, error) from error


def _unreadable(source: HubDataset, error: Exception) -> SourceError:
    return SourceError(
        f"the data set {source.repo} cannot be read",
        found=f"{type(error).__name__}: {error}",
        expected="files that the library `datasets` can read",
        next_step="check fetch.dataset.config in params.yaml, or use the files as a `local` source",
    )


def reader_of(builder: Any, source: HubDataset, files: dict[str, list[Path]]) -> Reader | None:  # noqa: ANN401
    """Find the reader settings for a repository's csv, JSON lines or parquet.

    Args:
        builder: builder of `datasets`, with the settings of the repository's README.
        source: source that names the columns.
        files: paths of the files by role.

    Returns:
        The reader; None where the files are of another format.
    """
    config = builder.config
    names = tuple(map(str, getattr((builder.info.features or {}).get(source.label_column), "names", ())))
    kind = _kind_of(builder)
    if kind == "parquet":
        return Reader(
            format="parquet", text_column=source.text_column, label_column=source.label_column, label_names=names
        )
    if kind == "json" and config.field is None and all(map(is_json_lines, chain.from_iterable(files.values()))):
        return Reader(
            format="jsonl", text_column=source.text_column, label_column=source.label_column, label_names=names
        )
    if kind != "csv":
        return None
    columns = [source.text_column, source.label_column]
    header = config.names is None and config.header is not None
    try:
        tabs = config.sep == "\t"
        return Reader(
            format="tsv" if tabs else "csv",
            text_column=columns[0] if header else list(config.names or ()).index(columns[0]),
            label_column=columns[1] if header else list(config.names or ()).index(columns[1]),
            header=header,
            separator=None if tabs else config.sep,
            quoted=False if config.quoting == csv.QUOTE_NONE else None,
            label_names=names,
        )
    except ValueError as error:
        raise SourceError(
            f"the csv files of {source.repo} cannot be read as its README describes them",
            found=error,
            expected=f"one character between columns, and the columns {columns} among the names",
            next_step="download them, and use them as a `local` source",
        ) from error


def is_json_lines(path: Path) -> bool:
    """Return whether a file holds one JSON object per line, judged by its first line that is not blank."""
    try:
        with _opened(path) as file:
            first = next((line for line in iter(lambda: file.readline(MAX_ROW_BYTES), b"") if line.strip()), b"")
        return isinstance(parse_json(first), dict)
    except (ValueError, EOFError, OSError, zlib.error):
        return False


def _as_parquet(
    source: HubDataset,
    splits: Any,  # noqa: ANN401 (datasets has no types for us)
    wanted: dict[str, str],
    folder: Path,
) -> tuple[dict[str, str], Reader]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for role, name in wanted.items():
        rows = splits[name]
        columns = [source.text_column] if role == "unlabelled" else [source.text_column, source.label_column]
        for column in columns:
            if column not in rows.column_names:
                raise SourceError(
                    f"{source.repo} has no column `{column}`",
                    found=rows.column_names,
                    next_step="correct text_column and label_column under `fetch.dataset` in params.yaml",
                )
        names = getattr(rows.features.get(source.label_column), "names", None)
        text_type = rows.features.arrow_schema.field(source.text_column).type
        labelled = len(columns) > 1 and names is None
        label_type = rows.features.arrow_schema.field(source.label_column).type if labelled else pa.string()
        schema = pa.schema([("text", text_type), ("label", label_type)])
        with pq.ParquetWriter(folder / f"{role}.parquet", schema, compression="zstd") as writer:
            for batch in rows.select_columns(columns).with_format("arrow").iter(batch_size=10_000):
                texts = batch[source.text_column]
                labels = batch[source.label_column] if labelled else pa.nulls(len(texts), pa.string())
                if names is not None and len(columns) > 1:
                    numbers = batch[source.label_column].to_pylist()
                    labels = pa.array([_name(source, number, names) for number in numbers], pa.string())
                writer.write_table(pa.table([texts, labels], schema=schema))
    reader = Reader(format="parquet", text_column="text", label_column="label")
    return {f"{role}.parquet": role for role in wanted}, reader


def fetch_hub_model(source: HubModel, folder: Path, snapshot: Snapshot = snapshot_from_hub) -> None:
    """Copy the files of a model.

    Raises:
        SourceError: the repository cannot be fetched.
    """
    repository = snapshot(source.repo, source.revision, "model")
    copy_model_files(repository, folder, source.repo, roots_of(repository))


def _name(source: HubDataset, number: int | None, names: list[str]) -> str | None:
    if number is None or number < 0:  # -1 is the hub's mark for a hidden label
        return None
    if number >= len(names):
        raise SourceError(
            f"{source.repo} has a label without a name",
            found=f"the number {number}",
            expected=f"0 to {len(names) - 1}, or -1 for a hidden one",
            next_step="use the files as a `local` source, with label names instead of numbers",
        )
    return names[number]
