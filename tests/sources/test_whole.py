"""Files that are not whole: git-LFS pointers, weights and JSON cut short. Each is named when it is fetched."""

from pathlib import Path

import pytest
from test_local_and_hub import COMMIT, local_folder, local_source, save_model

from pipestill.errors import SourceError
from pipestill.sources.fetch import fetch_dataset, fetch_model
from pipestill.sources.params import HubModel, LocalModel

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 90873720\n"
)
LOCAL_BASE = LocalModel(kind="local", path="data/local/teacher", licence="MIT")
HUB_BASE = HubModel(kind="hub", repo="some/model", revision=COMMIT, licence="MIT")


def fetch_base(source: LocalModel | HubModel, root: Path) -> None:
    fetch_model(source, root / "base", local=root, snapshot=lambda *_: root / "teacher")


@pytest.mark.parametrize(("source", "place"), [(LOCAL_BASE, "data/local/teacher"), (HUB_BASE, "some/model")])
@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_pointer_in_a_base_is_named_with_the_command_that_gets_the_file(
    file: str, source: LocalModel | HubModel, place: str, tmp_path: Path
) -> None:
    (save_model(tmp_path / "teacher") / file).write_bytes(POINTER)
    with pytest.raises(SourceError) as caught:
        fetch_base(source, tmp_path)
    error = caught.value
    assert error.what == f"{place}/{file} is a git-LFS pointer"
    assert "133 bytes" in str(error.found)
    assert "size 90873720" in str(error.found)
    assert error.expected == "the file itself"
    assert "`git lfs pull`" in str(error.next_step)
    assert not (tmp_path / "base").exists()


def test_a_pointer_among_files_that_are_not_used_is_no_error(tmp_path: Path) -> None:
    (save_model(tmp_path / "teacher") / "pytorch_model.bin").write_bytes(POINTER)
    fetch_base(LOCAL_BASE, tmp_path)
    assert (tmp_path / "base/model.safetensors").is_file()


@pytest.mark.parametrize("kept", [0, 7, 8, 300, -1])
def test_weights_cut_anywhere_are_refused(kept: int, tmp_path: Path) -> None:
    file = save_model(tmp_path / "teacher") / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:kept])
    with pytest.raises(
        SourceError, match=r"(?s)data/local/teacher/model\.safetensors is truncated.*git lfs pull"
    ) as caught:
        fetch_base(LOCAL_BASE, tmp_path)
    assert str(len(whole[:kept])) in str(caught.value.found)
    if kept == -1:
        assert caught.value.expected == f"{len(whole)} bytes, by its header"


def test_weights_with_another_header_are_refused(tmp_path: Path) -> None:
    file = save_model(tmp_path / "teacher") / "model.safetensors"
    file.write_bytes((10).to_bytes(8, "little") + b"[1, 2, 3 ]")
    with pytest.raises(SourceError, match=r"not a safetensors file"):
        fetch_base(LOCAL_BASE, tmp_path)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_json_that_is_cut_is_refused(file: str, tmp_path: Path) -> None:
    (save_model(tmp_path / "teacher") / file).write_text('{"model_type": "be')
    with pytest.raises(SourceError, match=rf"data/local/teacher/{file} is truncated or not JSON"):
        fetch_base(LOCAL_BASE, tmp_path)


def test_a_pointer_among_the_data_is_refused(tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    (folder / "train.csv").write_bytes(POINTER)
    with pytest.raises(SourceError, match=r"(?s)data/local/train\.csv is a git-LFS pointer.*git lfs pull"):
        fetch_dataset(local_source(all=["data/local/train.csv"]), tmp_path / "raw", local=folder)
    assert not (tmp_path / "raw").exists()
