"""Files that are damaged or made to do harm: an error with file and row, in bounded time and memory."""

import gzip
import io
import os
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memory_use import grown_kib
from pipestill.data import decoding
from pipestill.data.reading import read_rows
from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter, open_table, read_columns
from pipestill.errors import DataError
from pipestill.raw import Format, Reader

ROWS = {"text": [f"some text number {row} of it" for row in range(2000)], "label": ["a", "b"] * 1000}


def reader(kind: Format) -> Reader:
    return Reader(format=kind, text_column="text", label_column="label")


def read(path: Path, kind: Format) -> int:
    return sum(1 for _ in read_rows(path, reader(kind), labelled=True, repairs=Counter()))


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "none"])
def test_a_flipped_bit_of_a_parquet_file_is_an_error_or_no_harm(compression: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table(ROWS), buffer, compression=compression, write_page_checksum=True, row_group_size=500)
    whole, places = buffer.getvalue(), random.Random(compression)
    refused = 0
    for flip in range(120):
        content = bytearray(whole)
        place = places.randrange(len(whole) - 3000 if flip % 2 else 4, len(whole))  # the last bytes list the columns
        content[place] ^= 1 << places.randrange(8)
        (tmp_path / "rows.parquet").write_bytes(content)
        try:
            assert read(tmp_path / "rows.parquet", "parquet") <= 2000
        except DataError as error:
            assert "rows.parquet" in str(error)  # noqa: PT017 (either way is right)
            refused += 1
    assert refused > 20


def test_the_error_for_a_damaged_parquet_file_names_the_rows_before(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(ROWS), path, row_group_size=500, use_dictionary=False, write_page_checksum=True)
    start = pq.read_metadata(path).row_group(2).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start + 100] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"(?s)rows\.parquet is not a readable parquet file.*after row 1000:"):
        read(path, "parquet")


UNFOLDING = {
    "a long text in every row": {"text": ["x" * 100_000] * 100, "label": ["a"] * 100},
    "one text": {"text": ["x" * 3_000_000], "label": ["a"]},
    "many rows": {"text": ["x"] * 200_000, "label": ["a"] * 200_000},
}


@pytest.fixture
def little_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipestill.data.unfolding.FREE_BYTES", 1 << 20)


@pytest.mark.usefixtures("little_is_free")
@pytest.mark.parametrize("case", UNFOLDING)
def test_a_small_parquet_file_that_unfolds_to_much_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(UNFOLDING[case]), path, compression="zstd")
    assert path.stat().st_size < 5000
    with pytest.raises(DataError, match=r"rows\.parquet unfolds to too much"):
        read(path, "parquet")


READ = """
from collections import Counter
from pipestill.data.reading import read_rows
from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter, open_table, read_columns
from pipestill.raw import Reader
reader = Reader(format="parquet", text_column="text", label_column="label")
"""


def test_a_text_that_all_rows_repeat_is_in_memory_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["x" * 1_000_000] * 200, "label": ["a"] * 200}), path, compression="zstd")
    run = f"assert sum(1 for _ in read_rows(Path({str(path)!r}), reader, labelled=True, repairs=Counter())) == 200"
    assert grown_kib(READ, run) < 60_000  # the texts of all rows are 200 MB


@pytest.mark.parametrize("largest_bytes", [0, 1 << 30])
def test_values_are_the_same_with_and_without_dictionaries(
    largest_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipestill.data.parquet._DICTIONARY_BYTES", largest_bytes)
    path = tmp_path / "rows.parquet"
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        texts = pa.array(["a", None, "é", "a"], kind)
        pq.write_table(pa.table({"text": texts, "label": [1, 2, None, 1]}), path)
        rows = list(read_rows(path, reader("parquet"), labelled=True, repairs=Counter()))
        assert [(row.line, row.text, row.label) for row in rows] == [
            *((1, "a", "1"), (2, None, "2"), (3, "é", None), (4, "a", "1"))
        ]


@pytest.mark.usefixtures("little_is_free")
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_small_gzip_file_that_unfolds_to_much_is_refused(kind: Format, tmp_path: Path) -> None:
    row = {"csv": b"x" * 1000 + b",a\n", "jsonl": b'{"text": "' + b"x" * 1000 + b'", "label": "a"}\n'}[kind]
    header = b"text,label\n" if kind == "csv" else b""
    (tmp_path / "rows.gz").write_bytes(gzip.compress(header + row * 3000))
    with pytest.raises(DataError, match=r"rows\.gz unfolds to too much"):
        read(tmp_path / "rows.gz", kind)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_without_an_end_is_refused(
    kind: Format, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_ROW_BYTES", 10_000)
    (tmp_path / "rows").write_bytes(("text,label\n" + "x" * 20_000).encode(encoding))
    with pytest.raises(DataError, match=r"rows, line 2 is too long|rows, line 1 is not JSON|no column 'text'"):
        read(tmp_path / "rows", kind)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "absent"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    {
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: path.symlink_to("/dev/zero"),
        "absent": lambda: None,
    }[kind]()
    with pytest.raises(DataError, match="rows is not a file"):
        read(path, "csv")


@pytest.mark.parametrize("reading", ["columns", "view"])
def test_a_table_of_ours_that_is_damaged_is_named_with_the_way_to_make_it_again(reading: str, tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    with TableWriter(path, LABELLED) as writer:
        writer.write({"content_id": f"{row:032x}", "text": f"text {row}", "label_id": row % 2} for row in range(3000))
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"(?s)train\.parquet is not a whole parquet file.*dvc repro"):
        read_columns(path) if reading == "columns" else open_table(path, tmp_path / "views")
    assert list((tmp_path / "views").glob("*.arrow")) == []
