"""Files of one's own, and hub repositories as they lie on disk."""

import gzip
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from transformers import BertConfig, BertModel

from pipestill.data.card import DataCard
from pipestill.data.params import PrepareParams
from pipestill.data.prepare import prepare
from pipestill.errors import DataError, ParamsError, SourceError
from pipestill.fingerprint import sha256_files
from pipestill.params import parse_section
from pipestill.raw import RawManifest
from pipestill.sources import hub
from pipestill.sources.fetch import fetch_dataset, fetch_model
from pipestill.sources.params import DatasetSource, HubDataset, HubModel, LocalModel, ModelSource

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


def prepared(manifest: RawManifest, root: Path) -> DataCard:
    split = {"seed": 0, "dev_fraction": 0.2, "test_fraction": 0.2, "rare_label_rows": 3}
    cleaning = {"unescape_html": True, "max_chars": 2000, "over_long": "cut"}
    rules = {"cleaning": cleaning, "split": split, "contradictions": "drop", "unseen_labels": "error"}
    return prepare(manifest, root / "raw", root / "out", PrepareParams.model_validate(rules), root / "scratch")


LABELS = ("01", "1", "true", "None", "NA", "null", "nan")
"""Names that a library which guesses at types makes numbers, truth values or nothing of."""
TEXTS = [(f"text number {index}", LABELS[index % len(LABELS)]) for index in range(140)]
PLAIN_FILES: dict[str, bytes] = {
    "train.csv": "".join(["sentence,label\n", *(f"{text},{label}\n" for text, label in TEXTS)]).encode(),
    "train.tsv": "".join(["sentence\tlabel\n", *(f"{text}\t{label}\n" for text, label in TEXTS)]).encode(),
    "train.jsonl": "".join(json.dumps({"sentence": text, "label": label}) + "\n" for text, label in TEXTS).encode(),
    "train.json": "".join(json.dumps({"sentence": text, "label": label}) + "\n" for text, label in TEXTS).encode(),
    "train.csv.gz": gzip.compress(
        "".join(["sentence,label\n", *(f"{text},{label}\n" for text, label in TEXTS)]).encode()
    ),
}


@pytest.mark.parametrize("name", PLAIN_FILES)
def test_labels_of_a_hub_repository_are_read_as_those_of_a_local_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / name).write_bytes(PLAIN_FILES[name])
    manifest = fetch_dataset(hub_source(), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")
    assert [(file.role, (tmp_path / "raw" / file.path).read_bytes()) for file in manifest.files] == [
        ("train", PLAIN_FILES[name])
    ]
    card = prepared(manifest, tmp_path)
    assert sorted(card.splits["train"].num_rows_by_label) == sorted(LABELS)
    assert card.num_dropped == {}


def test_the_readme_of_a_hub_repository_says_how_its_csv_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub").mkdir()
    rows = "".join(f"{index % 2};text number {index}\n" for index in range(60))
    for part in ("a", "b"):
        (tmp_path / f"hub/{part}.csv").write_text(rows.replace("text", f"text {part}"))
    (tmp_path / "hub/README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  sep: ';'\n  names: [label, sentence]\n  header: null\n"
        "  data_files:\n  - split: train\n    path: '*.csv'\n"
        "dataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n"
        "          '0': bad\n          '1': good\n  - name: sentence\n    dtype: string\n---\n"
    )
    manifest = fetch_dataset(hub_source(), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")
    assert [file.path for file in manifest.files] == ["train-000.csv", "train-001.csv"]
    card = prepared(manifest, tmp_path)
    assert card.num_rows_read == {"train": 120}
    assert sorted(card.splits["train"].num_rows_by_label) == ["bad", "good"]


TYPED: dict[str, tuple[list[Any], list[Any], str]] = {
    "labels that are lists": (["a", "b"], [[0], [0, 1]], "the column 'label' holds no labels"),
    "labels that are records": (["a", "b"], [{"a": 1}, {"a": 2}], "the column 'label' holds no labels"),
    "texts that are numbers": ([1, 2], ["a", "b"], "the column 'text' holds no texts"),
    "texts that are lists": ([["a"], ["b"]], ["a", "b"], "the column 'text' holds no texts"),
    "texts that are records": ([{"a": 1}, {"a": 2}], ["a", "b"], "the column 'text' holds no texts"),
}


@pytest.mark.parametrize("case", TYPED)
def test_values_of_a_hub_set_that_are_no_text_or_label_are_named(case: str, tmp_path: Path) -> None:
    texts, labels, message = TYPED[case]
    rows = datasets.Dataset.from_dict({"sentence": texts, "label": labels})
    datasets.DatasetDict({"train": rows}).save_to_disk(str(tmp_path / "hub"))
    manifest = fetch_dataset(hub_source(), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")
    with pytest.raises(DataError, match=message):
        prepared(manifest, tmp_path)


def test_a_label_of_a_hub_set_that_is_nan_is_missing_and_numbers_are_named_as_json_does(tmp_path: Path) -> None:
    labels = [float("nan"), *([0.0, 1.0] * 40)]
    rows = datasets.Dataset.from_dict({"sentence": [f"text {index}" for index in range(81)], "label": labels})
    datasets.DatasetDict({"train": rows}).save_to_disk(str(tmp_path / "hub"))
    manifest = fetch_dataset(hub_source(), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")
    card = prepared(manifest, tmp_path)
    assert sorted(card.splits["train"].num_rows_by_label) == ["0.0", "1.0"]
    assert card.num_dropped == {"pool": {"blank_label": 1}}


def test_files_of_a_hub_repository_that_nothing_can_read_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub").mkdir()
    for content in ('[{"sentence": "a", "label": "b"}, {"sentence"', "[" * 100_000):
        (tmp_path / "hub/train.json").write_text(content)
        with pytest.raises(SourceError, match=r"(?s)some/set cannot be read.*`local` source"):
            fetch_dataset(hub_source(), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")


def test_a_list_of_objects_of_a_hub_repository_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub/train.json").write_text(json.dumps([{"sentence": text, "label": label} for text, label in TEXTS]))
    manifest = fetch_dataset(hub_source(), tmp_path / "raw", snapshot=lambda *_: tmp_path / "hub")
    assert sorted(prepared(manifest, tmp_path).splits["train"].num_rows_by_label) == sorted(LABELS)


def test_a_fetch_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    good = local_source(all=["data/local/train.csv"])
    absent = local_source(all=["data/local/train.csv"], unlabelled=["data/local/absent.csv"])
    with pytest.raises(SourceError, match=r"(?s)absent\.csv is missing.*dvc add data/local/absent\.csv.*git add"):
        fetch_dataset(absent, tmp_path / "raw", local=folder)
    assert not (tmp_path / "raw").exists()
    fetch_dataset(good, tmp_path / "raw", local=folder)
    with pytest.raises(SourceError):
        fetch_dataset(absent, tmp_path / "raw", local=folder)
    assert sorted(sha256_files(tmp_path / "raw")) == ["source.json", "train.csv"]
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    save_model(folder / "teacher")
    fetch_model(LocalModel(kind="local", path="data/local/teacher", licence="MIT"), tmp_path / "base", local=folder)
    before = sha256_files(tmp_path / "base")
    (folder / "teacher/tokenizer.json").unlink()
    with pytest.raises(SourceError):
        fetch_model(LocalModel(kind="local", path="data/local/teacher", licence="MIT"), tmp_path / "base", local=folder)
    assert sha256_files(tmp_path / "base") == before


@pytest.mark.parametrize("tracked", ["texts/a.csv.dvc", "texts.dvc"])
def test_a_file_that_dvc_tracks_and_nobody_pulled_is_told_to_be_pulled(tracked: str, tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    (folder / "texts").mkdir()
    (folder / tracked).write_text("outs: []\n")
    with pytest.raises(SourceError, match=rf"run `dvc pull data/local/{tracked}`"):
        fetch_dataset(local_source(all=["data/local/texts/a.csv"]), tmp_path / "raw", local=folder)


def test_a_folder_where_a_file_belongs_and_the_other_way_are_named(tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    with pytest.raises(SourceError, match="data/local/deep is a folder"):
        fetch_dataset(local_source(all=["data/local/deep"]), tmp_path / "raw", local=folder)
    source = LocalModel(kind="local", path="data/local/train.csv", licence="MIT")
    with pytest.raises(SourceError, match="is a file"):
        fetch_model(source, tmp_path / "base", local=folder)


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


@pytest.mark.parametrize("kind", ["fifo", "circle", "long", "device"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    name = "long" * 100 if kind == "long" else "rows.csv"
    if kind == "fifo":
        os.mkfifo(folder / name)
    elif kind == "circle":
        (folder / name).symlink_to(folder / name)
    elif kind == "device":
        (folder / name).symlink_to("/dev/zero")
    message = r"neither a file nor a folder|not the path of a file|does not lie below|is missing"
    for source in (local_source(all=[f"data/local/{name}"]), local_source(train=[f"data/local/{name}"])):
        with pytest.raises(SourceError, match=message):
            fetch_dataset(source, tmp_path / "raw", local=folder)
    with pytest.raises(SourceError, match=message):
        fetch_model(LocalModel(kind="local", path=f"data/local/{name}", licence="MIT"), tmp_path / "b", local=folder)


def test_a_nul_in_a_path_is_refused_when_params_are_read() -> None:
    with pytest.raises(ParamsError, match=r"d\.files\.all"):
        local_source(all=["data/local/a\0.csv"])
    local = {"kind": "local", "path": "data/local/a\0", "licence": "MIT"}
    with pytest.raises(ParamsError, match=r"base\.path"):
        parse_section({"base": local}, "base", ModelSource)
