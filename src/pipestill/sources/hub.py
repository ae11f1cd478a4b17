"""Hugging Face data sets and models, pinned to a commit.

A repository is first downloaded as files (`snapshot_download`), then read from disk, so that what is read is the commit
and nothing else. A short probe comes before: without a network the libraries below retry for minutes.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from pipestill.errors import SourceError
from pipestill.sources.params import HubDataset, HubModel

PROBE_TIMEOUT_S = 5.0
MODEL_FILES = (
    "config.json",
    "model.safetensors",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""What a base model is made of. No pickled weights, no other framework's, no code."""
HUB_CACHE = Path(".scratch/hub")

Snapshot = Callable[[str, str, str], Path]
"""(repo, revision, `model` or `dataset`) to the folder that holds the repository's files at that commit."""


def snapshot_from_hub(repo: str, revision: str, repo_type: str) -> Path:
    """Download a repository at a commit.

    Raises:
        SourceError: the hub cannot be reached within seconds, or has no such repository or commit.
    """
    import huggingface_hub

    try:
        huggingface_hub.HfApi().repo_info(repo, revision=revision, repo_type=repo_type, timeout=PROBE_TIMEOUT_S)
        folder = huggingface_hub.snapshot_download(
            repo,
            revision=revision,
            repo_type=repo_type,
            cache_dir=HUB_CACHE,
            allow_patterns=list(MODEL_FILES) if repo_type == "model" else None,
        )
    except Exception as error:  # its HTTP layer raises its own kinds, which change with its version
        raise SourceError(
            f"the {repo_type} {repo} could not be fetched from the hub",
            found=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}",
            expected=f"a reachable hub that has the commit {revision}",
            next_step="check the network and the name, or use a `package`, named or `local` source",
        ) from error
    return Path(folder)


def fetch_hub_dataset(source: HubDataset, folder: Path, snapshot: Snapshot = snapshot_from_hub) -> dict[str, str]:
    """Write each wanted split as a parquet file with the columns `text` and `label` (a string; null in `unlabelled`).

    Returns:
        The role of each file, by its path relative to `folder`.

    Raises:
        SourceError: the repository cannot be fetched, or lacks a split or a column.
    """
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    repository = snapshot(source.repo, source.revision, "dataset")
    try:
        if (repository / "dataset_dict.json").exists():
            splits = datasets.load_from_disk(str(repository))
        else:
            splits = datasets.load_dataset(str(repository), source.config, cache_dir=".scratch/datasets")
    except Exception as error:  # it raises its own kinds, of every base class
        raise SourceError(
            f"the data set {source.repo} cannot be read",
            found=f"{type(error).__name__}: {error}",
            next_step="check fetch.dataset.config in params.yaml",
        ) from error
    roles = {}
    for role in ("train", "dev", "test", "unlabelled"):
        name = getattr(source, role)
        if name is None:
            continue
        if name not in splits:
            raise SourceError(f"{source.repo} has no split `{name}`", found=sorted(splits))
        rows = splits[name]
        columns = [source.text_column] if role == "unlabelled" else [source.text_column, source.label_column]
        for column in columns:
            if column not in rows.column_names:
                raise SourceError(f"{source.repo} has no column `{column}`", found=rows.column_names)
        feature = rows.features.get(source.label_column)
        schema = pa.schema([("text", pa.string()), ("label", pa.string())])
        with pq.ParquetWriter(folder / f"{role}.parquet", schema, compression="zstd") as writer:
            for batch in rows.select_columns(columns).iter(batch_size=10_000):
                texts = batch[source.text_column]
                labels = [_label(value, feature) for value in batch.get(source.label_column, [None] * len(texts))]
                writer.write_table(pa.table({"text": texts, "label": labels}, schema=schema))
        roles[f"{role}.parquet"] = role
    return roles


def fetch_hub_model(source: HubModel, folder: Path, snapshot: Snapshot = snapshot_from_hub) -> None:
    """Copy the files of a model.

    Raises:
        SourceError: the repository cannot be fetched.
    """
    repository = snapshot(source.repo, source.revision, "model")
    for name in MODEL_FILES:
        if (repository / name).is_file():
            shutil.copyfile(repository / name, folder / name)


def _label(value: object, feature: object) -> str | None:
    names = getattr(feature, "names", None)
    if value is None or (names is not None and value == -1):  # -1 is the hub's mark for a hidden label
        return None
    return str(names[int(str(value))]) if names is not None else str(value)
