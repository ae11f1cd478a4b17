"""Repositories of others: nothing outside the pinned commit is read, and no address is asked."""

import json
import lzma
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_local_and_hub import hub_source, prepared

from pipestill.errors import SourceError
from pipestill.sources.fetch import fetch_dataset

LINE = json.dumps({"sentence": "of this machine", "label": "secret"}) + "\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.jsonl").write_text(LINE)
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json.dumps({"sentence": "a", "label": "b"}) + "\n")
    return folder


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server on this machine that counts the requests made to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked.append(self.path)  # type: ignore[attr-defined]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(LINE.encode())

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def write_readme(folder: Path, data_files: str) -> None:
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  {data_files}\n---\n# A set\n")


def fetch(repository: Path) -> None:
    fetch_dataset(hub_source(), Path("raw"), snapshot=lambda *_: repository)


FOREIGN = {
    "an address": "data_files: http://127.0.0.1:{port}/train.jsonl",
    "an address of a split": "data_files: [{{split: train, path: 'http://127.0.0.1:{port}/train.jsonl'}}]",
    "an address in a list": "data_files: [{{split: train, path: [train.jsonl, 'http://127.0.0.1:{port}/a.jsonl']}}]",
    "a chained address": "data_files: zip://a.jsonl::http://127.0.0.1:{port}/a.zip",
    "a file address": "data_files: file://{root}/secret.jsonl",
    "an absolute path": "data_files: '{root}/secret.jsonl'",
    "a parent folder": "data_files: ../secret.jsonl",
    "a parent folder inside": "data_files: 'x/../../secret.*'",
    "a home folder": "data_files: ~/secret.jsonl",
    "a folder": "data_dir: ..",
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_readme_that_names_data_elsewhere_is_refused_before_anything_is_asked(
    case: str, repository: Path, server: ThreadingHTTPServer
) -> None:
    entry = FOREIGN[case].format(port=server.server_address[1], root=repository.parent)
    write_readme(repository, entry)
    with pytest.raises(SourceError, match=r"some/set/README\.md names data outside its repository") as raised:
        fetch(repository)
    assert str(raised.value.found)[1:-1] in entry
    assert server.asked == []  # type: ignore[attr-defined]
    assert not Path("raw").exists()


def test_another_place_of_settings_is_refused(repository: Path) -> None:
    (repository / ".huggingface.yaml").write_text("configs:\n- config_name: default\n  data_files: ../secret.jsonl\n")
    with pytest.raises(SourceError, match=r"\.huggingface\.yaml cannot be read"):
        fetch(repository)


@pytest.mark.parametrize("entries", ["&a [*a]", "[[[[[[a]]]]]]"])
def test_entries_without_an_end_are_refused(entries: str, repository: Path) -> None:
    write_readme(repository, f"data_files: {entries}")
    with pytest.raises(SourceError, match=r"README\.md cannot be read"):
        fetch(repository)


@pytest.mark.parametrize("target", ["file", "folder", "circle"])
def test_a_link_that_leaves_the_repository_is_refused(target: str, repository: Path) -> None:
    (repository / "train.jsonl").unlink()
    elsewhere = {"file": repository.parent / "secret.jsonl", "folder": repository.parent, "circle": "more"}[target]
    (repository / "more").symlink_to(elsewhere)
    with pytest.raises(SourceError, match=r"some/set/more is a link that leaves|leads in a circle"):
        fetch(repository)


@pytest.mark.parametrize("kind", ["fifo", "link to nothing"])
def test_an_entry_that_is_neither_file_nor_folder_is_refused(kind: str, repository: Path) -> None:
    if kind == "fifo":
        os.mkfifo(repository / "more.jsonl")
    else:
        (repository / "more.jsonl").symlink_to("absent")
    with pytest.raises(SourceError, match=r"some/set/more\.jsonl is neither a file nor a folder"):
        fetch(repository)


def test_the_links_of_the_hub_s_own_cache_are_followed(repository: Path) -> None:
    cache = repository.parent / "cache/datasets--some--set"
    (cache / "blobs").mkdir(parents=True)
    (repository / "train.jsonl").rename(cache / "blobs/abc")
    (cache / "snapshots/0").mkdir(parents=True)
    (cache / "snapshots/0/train.jsonl").symlink_to("../../blobs/abc")
    fetch(cache / "snapshots/0")
    assert Path("raw/train.jsonl").read_text() == '{"sentence": "a", "label": "b"}\n'
    (cache / "snapshots/0/train.jsonl").unlink()
    (cache / "snapshots/0/train.jsonl").symlink_to("../../../../secret.jsonl")
    with pytest.raises(SourceError, match="a link that leaves"):
        fetch(cache / "snapshots/0")


@pytest.mark.parametrize("case", ["split", "file", "absolute file", "deep"])
def test_a_set_on_disk_that_names_files_elsewhere_is_refused(case: str, repository: Path) -> None:
    rows = datasets.Dataset.from_dict({"sentence": ["a"], "label": ["b"]})
    for folder in (repository, repository.parent / "elsewhere"):
        datasets.DatasetDict({"train": rows}).save_to_disk(str(folder))
    state = repository / "train/state.json"
    elsewhere = repository.parent / "elsewhere/train/data-00000-of-00001.arrow"
    if case == "split":
        (repository / "dataset_dict.json").write_text('{"splits": ["../elsewhere/train"]}')
    elif case == "deep":
        state.write_text("[" * 100_000)
    else:
        name = str(elsewhere) if "absolute" in case else "../../elsewhere/train/data-00000-of-00001.arrow"
        state.write_text(json.dumps({**json.loads(state.read_text()), "_data_files": [{"filename": name}]}))
    with pytest.raises(SourceError, match=r"(dataset_dict|train/state)\.json (names data outside|cannot be read)"):
        fetch(repository)


def test_nested_lists_of_a_repository_end_in_an_error_and_not_the_process(repository: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    (repository / "train.jsonl").write_text(f'{{"sentence": "a", "label": "b", "more": {deep}}}\n')
    with pytest.raises(SourceError, match=r"(?s)some/set cannot be read.*more than 100 levels"):
        fetch(repository)


@pytest.mark.parametrize("name", ["train.json.xz", "train.txt.zip", "train.tar", "train.xml"])
def test_archives_and_formats_of_programs_are_refused(name: str, repository: Path) -> None:
    (repository / "train.jsonl").unlink()
    (repository / name).write_bytes(lzma.compress(LINE.encode()))
    with pytest.raises(SourceError, match=r"is of a format that is not read|cannot be read"):
        fetch(repository)


def test_parquet_of_a_repository_is_kept_and_its_readme_names_the_labels(repository: Path) -> None:
    (repository / "train.jsonl").unlink()
    (repository / "data").mkdir()
    rows = {"sentence": [f"text {index}" for index in range(60)], "label": [index % 2 for index in range(60)]}
    pq.write_table(pa.table(rows), repository / "data/train-00000-of-00001.parquet")
    (repository / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: sentence\n    dtype: string\n  - name: label\n    dtype:\n"
        "      class_label:\n        names:\n          '0': bad\n          '1': good\n"
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n---\n"
    )
    manifest = fetch_dataset(hub_source(), repository.parent / "raw", snapshot=lambda *_: repository)
    kept = (repository.parent / "raw/train.parquet").read_bytes()
    assert kept == (repository / "data/train-00000-of-00001.parquet").read_bytes()
    assert sorted(prepared(manifest, repository.parent).splits["train"].num_rows_by_label) == ["bad", "good"]


FETCH = """
import sys
from pathlib import Path
from pipestill.errors import SourceError
from pipestill.sources.fetch import fetch_dataset
from pipestill.sources.params import HubDataset
columns = {"text_column": "sentence", "label_column": "label", "train": "train"}
source = HubDataset(kind="hub", repo="some/set", revision="0" * 40, licence="MIT", **columns)
file, whole = Path(sys.argv[1]), Path(sys.argv[1]).read_bytes()
for bit in sys.argv[2:]:
    content = bytearray(whole)
    content[int(bit) // 8] ^= 1 << int(bit) % 8
    file.unlink()
    file.write_bytes(content)
    try:
        fetch_dataset(source, Path("raw"), snapshot=lambda *_: Path("hub"))
    except SourceError as error:
        print(error.what)
"""


@pytest.mark.parametrize("kind", ["on disk", "arrow"])
def test_a_flipped_bit_of_an_arrow_file_is_an_error_and_does_not_end_the_process(kind: str, repository: Path) -> None:
    rows = datasets.Dataset.from_dict({"sentence": [f"text {row}" for row in range(50)], "label": ["a", "b"] * 25})
    (repository / "train.jsonl").unlink()
    datasets.DatasetDict({"train": rows}).save_to_disk(str(repository))
    (file,) = repository.glob("train/*.arrow")
    if kind == "arrow":
        file = file.rename(repository / "train.arrow")
        shutil.rmtree(repository / "train")
        (repository / "dataset_dict.json").unlink()
    places = random.Random(1)
    bits = [str(places.randrange(8 * file.stat().st_size)) for _ in range(60)]
    command = [sys.executable, "-c", FETCH, str(file), *bits]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is not a whole Arrow file") > 10
