"""Files of one's own, and hub repositories as they lie on disk."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from transformers import BertConfig, BertModel

from pipestill.errors import ParamsError, SourceError
from pipestill.fingerprint import sha256_files
from pipestill.params import parse_section
from pipestill.sources import hub
from pipestill.sources.fetch import fetch_dataset, fetch_model
from pipestill.sources.params import DatasetSource, HubDataset, HubModel, LocalModel

COMMIT = "0" * 40
CSV = b"text,label\nfine,yes\nbad,no\n"


def local_source(**files: list[str]) -> Any:
    section = {"kind": "local", "name": "own", "licence": "internal", "format": "csv"}
    columns = {"text_column": "text", "label_column": "label"}
    return parse_section({"d": {**section, **columns, "files": files}}, "d", DatasetSource)


def local_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "deep").mkdir(parents=True)
    for name in ("train.csv", "deep/train.csv", "test.csv"):
        (folder / name).write_bytes(CSV)
    return folder


def test_local_files_are_copied_with_their_roles(tmp_path: Path) -> None:
    source = local_source(train=["data/local/train.csv", "data/local/deep/train.csv"], test=["data/local/test.csv"])
    manifest = fetch_dataset(source, tmp_path / "raw", local=local_folder(tmp_path))
    assert {file.path: file.role for file in manifest.files} == {
        "deep/train.csv": "train",
        "test.csv": "test",
        "train.csv": "train",
    }
    assert (tmp_path / "raw" / "deep" / "train.csv").read_bytes() == CSV
    assert (manifest.reader.text_column, manifest.reader.format) == ("text", "csv")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "own.csv", "data/local/../own.csv", "data/locally/a.csv", "data/local"]
)
def test_a_path_outside_the_local_folder_is_refused_with_the_reason(path: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the pipeline watches that folder only"):
        fetch_dataset(local_source(all=[path]), tmp_path / "raw", local=local_folder(tmp_path))


def test_a_link_out_of_the_local_folder_is_refused(tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    (tmp_path / "elsewhere.csv").write_bytes(CSV)
    (folder / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(SourceError, match="does not lie below"):
        fetch_dataset(local_source(all=["data/local/link.csv"]), tmp_path / "raw", local=folder)


def test_a_missing_or_doubled_local_file_is_an_error(tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    with pytest.raises(SourceError, match=r"absent\.csv is missing"):
        fetch_dataset(local_source(all=["data/local/absent.csv"]), tmp_path / "raw", local=folder)
    twice = local_source(train=["data/local/train.csv"], test=["data/local/train.csv"])
    with pytest.raises(SourceError, match="named twice"):
        fetch_dataset(twice, tmp_path / "raw", local=folder)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "either `all`"),
        ({"all": ["a"], "train": ["b"]}, "either `all`"),
        ({"all": ["a"], "test": ["b"]}, "go with `train`"),
    ],
)
def test_files_that_say_two_things_are_refused(files: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        local_source(**files)


def save_model(folder: Path) -> Path:
    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    BertModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    return folder


def test_a_local_model_folder_is_copied(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "own" / "teacher")
    source = LocalModel(kind="local", path="data/local/teacher", licence="MIT")
    fetch_model(source, tmp_path / "base", local=tmp_path / "own")
    assert (tmp_path / "base" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match=r"lacks tokenizer\.json"):
        fetch_model(source, tmp_path / "base", local=tmp_path / "own")


def test_a_hub_model_is_copied_without_pickles(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "hub")
    source = HubModel(kind="hub", repo="some/model", revision=COMMIT, licence="MIT")
    fetch_model(source, tmp_path / "base", snapshot=lambda *_: folder)
    assert sorted(sha256_files(tmp_path / "base")) == [
        *("NOTICE.txt", "config.json", "model.safetensors", "tokenizer.json")
    ]


def hub_source(**changes: str) -> HubDataset:
    section: dict[str, Any] = {"repo": "some/set", "revision": COMMIT, "licence": "MIT", "train": "train"}
    columns = {"text_column": "sentence", "label_column": "label"}
    return HubDataset(kind="hub", **{**section, **columns, **changes})


@pytest.fixture
def hub_set(tmp_path: Path) -> Path:
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    rows = {"sentence": ["a", "b", "c"], "label": [0, 1, 1]}
    hidden = {"sentence": ["d"], "label": [-1]}
    splits = {"train": rows, "validation": rows, "test": hidden}
    folder = tmp_path / "hub"
    datasets.DatasetDict(
        {name: datasets.Dataset.from_dict(columns, features=features) for name, columns in splits.items()}
    ).save_to_disk(str(folder))
    return folder


def test_a_hub_set_becomes_parquet_with_label_names(hub_set: Path, tmp_path: Path) -> None:
    source = hub_source(test="validation", unlabelled="test")
    for name in ("one", "two"):
        manifest = fetch_dataset(source, tmp_path / name, snapshot=lambda *_: hub_set)
    assert {file.path: file.role for file in manifest.files} == {
        f"{role}.parquet": role for role in ("train", "test", "unlabelled")
    }
    assert pq.read_table(tmp_path / "one" / "train.parquet").to_pydict() == {
        "text": ["a", "b", "c"],
        "label": ["bad", "good", "good"],
    }
    assert pq.read_table(tmp_path / "one" / "unlabelled.parquet")["label"].to_pylist() == [None]
    assert sha256_files(tmp_path / "one") == sha256_files(tmp_path / "two")


def test_an_unlabelled_split_of_a_hub_set_needs_no_label_column(tmp_path: Path) -> None:
    labelled = datasets.Dataset.from_dict({"sentence": ["a", "b"], "label": ["spam", "ham"]})
    texts = datasets.Dataset.from_dict({"sentence": ["c"]})
    datasets.DatasetDict({"train": labelled, "more": texts}).save_to_disk(str(tmp_path / "hub"))
    fetch_dataset(hub_source(unlabelled="more"), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")
    assert pq.read_table(tmp_path / "raw" / "unlabelled.parquet").to_pydict() == {"text": ["c"], "label": [None]}
    with pytest.raises(SourceError, match="no column `label`"):
        fetch_dataset(hub_source(test="more"), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")


def test_csv_of_a_hub_repository_is_kept_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = "sentence,label\na,01\nb,NA\nc,true\n"
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "train.csv").write_text(content)
    manifest = fetch_dataset(hub_source(), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")
    assert (tmp_path / "raw" / "train.csv").read_text() == content
    assert [(file.path, file.role) for file in manifest.files] == [("train.csv", "train")]
    assert (manifest.reader.format, manifest.reader.text_column) == ("csv", "sentence")


@pytest.mark.parametrize(
    ("changes", "message"), [({"test": "absent"}, "no split `absent`"), ({"text_column": "body"}, "no column `body`")]
)
def test_a_hub_set_without_a_split_or_column_is_an_error(
    changes: dict[str, str], message: str, hub_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        fetch_dataset(hub_source(**changes), tmp_path / "raw", snapshot=lambda *_: hub_set)


def test_without_a_hub_the_error_comes_within_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def api(*_: object, **__: object) -> Any:
        # Nothing listens on port 9 of this machine: the real client meets a real refusal.
        return real(endpoint="http://127.0.0.1:9")

    real: Callable[..., Any] = huggingface_hub.HfApi
    monkeypatch.setattr(huggingface_hub, "HfApi", api)
    start = time.monotonic()
    with pytest.raises(SourceError, match="could not be fetched from the hub"):
        hub.snapshot_from_hub("some/set", COMMIT, "dataset")
    assert time.monotonic() - start < 15
