"""Prepare: splits that stay put, nothing in two splits, the same bytes whatever the order."""

import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_sets import CSV, csv_bytes, good_rows

from pipestill.data.card import DataCard
from pipestill.data.cleaning import normalise
from pipestill.data.tables import open_table, read_columns
from pipestill.errors import DataError
from pipestill.fingerprint import content_id, sha256_files
from pipestill.raw import Reader
from pipestill.tasks.targets import read_labels

Run = Callable[..., tuple[DataCard, Path]]


def texts_of(folder: Path, name: str) -> list[str]:
    return pq.read_table(folder / f"{name}.parquet")["text"].to_pylist()


def test_two_runs_and_any_row_order_give_the_same_bytes(run_prepare: Run) -> None:
    rows = [*good_rows(), ("Sentence NUMBER 3 of a small set", "yes"), ("two", "yes"), ("two", "no"), ("Two", "no")]
    _, first = run_prepare({"all": csv_bytes(rows)})
    _, again = run_prepare({"all": csv_bytes(rows)})
    shuffled = rows.copy()
    random.Random(1).shuffle(shuffled)
    _, other = run_prepare({"all": csv_bytes(shuffled)})
    assert sha256_files(first) == sha256_files(again) == sha256_files(other)
    assert set(sha256_files(first)) == {
        *(f"{name}.parquet" for name in ("train", "dev", "test", "unlabelled")),
        *("labels.json", "card.json", "card.md"),
    }


def test_added_rows_move_no_row_to_another_split(run_prepare: Run) -> None:
    _, before = run_prepare({"all": csv_bytes(good_rows(200))})
    _, after = run_prepare({"all": csv_bytes(good_rows(400))})
    for name in ("train", "dev", "test"):
        assert set(texts_of(before, name)) <= set(texts_of(after, name))


def test_the_splits_have_about_the_sizes_asked_for(run_prepare: Run) -> None:
    card, _ = run_prepare({"all": csv_bytes(good_rows(2000))})
    assert card.splits["test"].num_rows == pytest.approx(400, abs=60)
    assert card.splits["dev"].num_rows == pytest.approx(400, abs=60)


def test_tables_are_sorted_by_content_id_and_ids_are_those_of_the_texts(run_prepare: Run) -> None:
    _, folder = run_prepare({"all": csv_bytes(good_rows())})
    rows = read_columns(folder / "train.parquet")
    assert rows.content_ids == sorted(set(rows.content_ids))
    assert rows.content_ids == [content_id(text) for text in rows.texts]
    labels = read_labels(folder / "labels.json")
    expected = dict(good_rows())
    assert [labels.labels[label_id] for label_id in rows.label_ids] == [expected[text] for text in rows.texts]


def test_a_held_out_text_is_in_no_other_table(run_prepare: Run) -> None:
    rows = good_rows()
    test = [*rows[:10], ("only in test", "yes")]
    unlabelled = "text\n" + "".join(f"{text.upper()}\n" for text, _ in rows) + "something else\n"
    card, folder = run_prepare({"train": csv_bytes(rows), "test": csv_bytes(test), "unlabelled": unlabelled.encode()})
    seen: set[str] = set()
    for name in ("test", "dev", "train", "unlabelled"):
        normalised = {normalise(text) for text in texts_of(folder, name)}
        assert not seen & normalised
        seen |= normalised
    assert texts_of(folder, "unlabelled") == ["something else"]
    assert card.splits["test"].num_rows == 11
    assert card.num_dropped["pool"] == {"in_test_already": 10}
    assert card.num_dropped["unlabelled"] == {"in_test_already": 10, "in_pool_already": 50}


def test_splits_of_the_source_are_kept(run_prepare: Run) -> None:
    rows = good_rows(90)
    parts = {"train": rows[:50], "dev": rows[50:70], "test": rows[70:]}
    _, folder = run_prepare({role: csv_bytes(part) for role, part in parts.items()})
    for name, part in parts.items():
        assert sorted(texts_of(folder, name)) == sorted(text for text, _ in part)


def test_orange_tab_files_and_parquet_hold_the_same_rows_as_csv(run_prepare: Run, tmp_path: Path) -> None:
    rows = good_rows()
    tab = "label\ttext\nd\tstring\nclass\t\n" + "".join(f"{label}\t{text}\n" for text, label in rows)
    parquet = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]}), parquet)
    _, from_csv = run_prepare({"all": csv_bytes(rows)})
    for name, content in (("tab", tab.encode()), ("parquet", parquet.read_bytes())):
        _, folder = run_prepare({"all": content}, CSV.model_copy(update={"format": name}))
        assert texts_of(folder, "train") == texts_of(from_csv, "train")


def test_seventy_seven_labels_are_no_special_case(run_prepare: Run) -> None:
    rows = [(f"request number {index}", f"intent_{index % 77:02d}") for index in range(1540)]
    card, folder = run_prepare({"all": csv_bytes(rows)})
    assert read_labels(folder / "labels.json").num_labels == 77
    assert card.splits["train"].num_rows_by_label.keys() == {label for _, label in rows}


def test_open_table_never_shows_an_older_file(run_prepare: Run, tmp_path: Path) -> None:
    _, first = run_prepare({"all": csv_bytes(good_rows(60))})
    _, second = run_prepare({"all": csv_bytes(good_rows(80))})
    path = tmp_path / "train.parquet"
    for folder in (first, second):
        path.write_bytes((folder / "train.parquet").read_bytes())
        table = open_table(path, tmp_path / "scratch")
        assert list(table["text"]) == texts_of(folder, "train")
        assert all(Path(file["filename"]).is_relative_to(tmp_path) for file in table.cache_files)


@pytest.mark.parametrize("content", [None, b"no parquet at all"])
def test_a_table_that_is_none_is_an_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"train\.parquet"):
        read_columns(path)
    with pytest.raises(DataError, match=r"train\.parquet"):
        open_table(path, tmp_path / "scratch")


def test_a_reader_without_header_cannot_name_a_column(run_prepare: Run) -> None:
    reader = Reader(format="csv", text_column="text", label_column=1, header=False)
    with pytest.raises(DataError, match="no column called 'text'"):
        run_prepare({"all": b"a,b\n"}, reader)
