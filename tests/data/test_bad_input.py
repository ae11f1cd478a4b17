"""The table of TRAPS.md 37: every bad input ends in a clear error or in a counted repair, never in a silent drop."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from raw_sets import CSV, RULES, csv_bytes, good_rows

from pipestill.data.card import DataCard
from pipestill.data.params import PrepareParams
from pipestill.data.tables import read_columns
from pipestill.errors import DataError
from pipestill.raw import Reader
from pipestill.transfer.params import TransferParams

GOOD = csv_bytes(good_rows())
JSONL = Reader(format="jsonl", text_column="text", label_column="label")
PLAIN_TSV = Reader(format="tsv", text_column="text", label_column="label", quoted=False)
Run = Callable[..., tuple[DataCard, Path]]


def jsonl(*rows: object) -> bytes:
    good = [{"text": text, "label": label} for text, label in good_rows()]
    return "".join(f"{json.dumps(row)}\n" for row in [*good, *rows]).encode()


def parquet_with_labels(labels: list[float]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": [f"row {index} of it" for index in range(len(labels))], "label": labels}), buffer)
    return buffer.getvalue()


ERRORS = {
    "an empty file": (b"", CSV, {}, "is empty"),
    "a header alone": (b"text,label\n", CSV, {}, "holds no rows"),
    "one label only": (csv_bytes([(text, "yes") for text, _ in good_rows()]), CSV, {}, "1 label(s)"),
    "a missing column": (GOOD.replace(b"label", b"class"), CSV, {}, "no column 'label'"),
    "a column twice": (GOOD.replace(b"text,label", b"text,text"), CSV, {}, "more than one column 'text'"),
    "bytes that are not UTF-8": (GOOD + '"café",yes\n'.encode("latin-1"), CSV, {}, "line 62 is not UTF-8"),
    "UTF-16 without a mark": (GOOD.decode().encode("utf-16-le"), CSV, {}, "UTF-16LE without a byte order mark"),
    "UTF-16 that is cut": (GOOD.decode().encode("utf-16")[:-1], CSV, {}, "line 61 is not UTF-16"),
    "a quote that is never closed": (GOOD + b'"open,yes\nmore,no\n', CSV, {}, "line 62: the quotes do not match"),
    "a tab in an unquoted text": (b"text\tlabel\na b\tyes\na\tb\tno\n", PLAIN_TSV, {}, "line 3 has 3 columns"),
    "bare CR line ends": (GOOD.replace(b"\n", b"\r"), CSV, {}, "ends its lines in bare CR"),
    "bare CR after a good header": (b"text,label\na,yes\rb,no\r", CSV, {}, "ends its lines in bare CR"),
    "bare CR in jsonl": (jsonl().replace(b"\n", b"\r"), JSONL, {}, "ends its lines in bare CR"),
    "a row too short": (GOOD + b"alone\n", CSV, {}, "line 62 has 1 columns"),
    "a json line that is none": (jsonl() + b"{oops\n", JSONL, {}, "line 61 is not JSON"),
    "a json line without the text": (jsonl({"label": "yes"}), JSONL, {}, "line 61 has no column 'text'"),
    "a json text that is a number": (
        jsonl({"text": 7, "label": "yes"}),
        JSONL,
        {},
        "line 61: the text is not a string",
    ),
    "a json label that is a list": (jsonl({"text": "a", "label": ["yes"]}), JSONL, {}, "line 61: the label"),
    "a rating that is a word": (GOOD, CSV.model_copy(update={"label_rule": "sign"}), {}, "line 2: the rating"),
    "no parquet": (GOOD, Reader(format="parquet", text_column="text", label_column="label"), {}, "parquet"),
    "a column number beyond the last": (
        b"a,b\nc,d\n",
        Reader(format="csv", text_column=0, label_column=9, header=False),
        {},
        "lacks a column",
    ),
    "too few rows to split": (csv_bytes(good_rows(2)), CSV, {}, "no rows are left for dev"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_hopeless_input_ends_in_an_error_that_names_the_place(case: str, run_prepare: Run) -> None:
    content, reader, changes, message = ERRORS[case]
    with pytest.raises(DataError) as caught:
        run_prepare({"all": content}, reader, **changes)
    assert message in str(caught.value)
    assert caught.value.next_step or caught.value.expected or caught.value.found


def test_a_test_label_that_train_lacks_is_an_error(run_prepare: Run) -> None:
    files = {"train": GOOD, "test": csv_bytes([("a new thing", "maybe"), ("an old thing", "yes")])}
    with pytest.raises(DataError, match="test has labels that no train row has"):
        run_prepare(files)


def test_a_test_label_that_train_lacks_is_dropped_and_counted_where_params_say_so(run_prepare: Run) -> None:
    files = {"train": GOOD, "test": csv_bytes([("a new thing", "maybe"), ("an old thing", "yes")])}
    card, _ = run_prepare(files, unseen_labels="drop")
    assert card.num_dropped["test"] == {"unseen_label": 1}
    assert card.splits["test"].num_rows == 1


def row(text: str, label: str = "yes") -> bytes:
    return f'"{text}","{label}"\n'.encode()


REPAIRED = {
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, "byte_order_mark", 1),
    "CRLF": (GOOD.replace(b"\n", b"\r\n"), "crlf_line_ends", 61),
    "a blank line": (GOOD + b"\n\n", "blank_lines", 2),
    "NUL": (GOOD + row("with a \0 inside"), "control_characters", 1),
    "entities": (GOOD + row("this &amp; that"), "html_entities", 1),
    "a row of 100,000 characters": (GOOD + row("long " * 20_000), "cut_over_long", 1),
    "a decomposed accent": (GOOD + row("cafe\u0301"), "unicode_nfc", 1),
    "tabs inside a text": (GOOD + row("one\ttwo"), "white_space", 1),
    "a line end inside quotes": (GOOD + row("one\ntwo"), "white_space", 1),
    "blanks around a label": (GOOD + row("some text", " yes "), "label", 1),
}


@pytest.mark.parametrize("case", REPAIRED)
def test_a_repair_is_counted_and_the_row_stays(case: str, run_prepare: Run) -> None:
    content, repair, count = REPAIRED[case]
    card, _ = run_prepare({"all": content})
    assert card.num_repaired[repair] == count
    extra = content.count(b"\n") > 61 and case != "a blank line"
    assert sum(card.splits[name].num_rows for name in ("train", "dev", "test")) == 60 + extra
    assert card.num_dropped == {}


DROPPED = {
    "blank text": (GOOD + row("  \t "), {}, "blank_text", 1),
    "nothing but controls": (GOOD + row("\x00\x01"), {}, "blank_text", 1),
    "a blank label": (GOOD + row("some text", " "), {}, "blank_label", 1),
    "a duplicate": (GOOD + row("some text") * 3, {}, "exact_duplicate", 2),
    "a duplicate in another case": (GOOD + row("some text") + row("Some  TEXT"), {}, "normalised_duplicate", 1),
    "a text with two labels": (GOOD + row("some text") + row("some text", "no"), {}, "contradictory_label", 2),
    "a majority": (
        GOOD + row("some text") * 2 + row("some text", "no"),
        {"contradictions": "majority"},
        "contradictory_label",
        1,
    ),
    "a long row, to be dropped": (
        GOOD + row("long " * 20_000),
        {"cleaning": {"unescape_html": True, "max_chars": 2000, "over_long": "drop"}},
        "over_long",
        1,
    ),
}


@pytest.mark.parametrize("case", DROPPED)
def test_a_dropped_row_is_counted_with_its_reason(case: str, run_prepare: Run) -> None:
    content, changes, reason, count = DROPPED[case]
    card, _ = run_prepare({"all": content}, **changes)
    assert card.num_dropped["pool"][reason] == count
    dropped = sum(card.num_dropped["pool"].values())
    assert sum(split.num_rows for split in card.splits.values()) == card.num_rows_read["all"] - dropped
    assert (card.num_contradictory_texts > 0) == (reason == "contradictory_label")


def test_a_label_with_one_row_stays_in_train_and_is_reported(run_prepare: Run) -> None:
    card, _ = run_prepare({"all": GOOD + row("the only one of its kind", "rare")})
    assert card.rare_labels == {"rare": 1}
    assert card.splits["train"].num_rows_by_label["rare"] == 1
    assert card.labels_without_dev_rows == ("rare",)
    assert card.labels_without_test_rows == ("rare",)


def test_labels_that_look_like_numbers_or_truth_values_are_names(run_prepare: Run) -> None:
    names = ["0", "1", "01", "1.0", "true", "True", "no", "null"]
    content = csv_bytes([(f"text {index} here", names[index % 8]) for index in range(160)])
    _, folder = run_prepare({"all": content})
    assert json.loads((folder / "labels.json").read_text())["labels"] == sorted(names)


def test_json_numbers_and_truth_values_become_the_labels_that_json_calls_them(run_prepare: Run) -> None:
    content = "".join(f'{{"text": "row {i} of it", "label": {("true", "1", "2.5")[i % 3]}}}\n' for i in range(90))
    card, _ = run_prepare({"all": content.encode()}, JSONL)
    assert sorted(card.splits["train"].num_rows_by_label) == ["1", "2.5", "true"]


def test_a_label_that_is_nan_is_missing(run_prepare: Run) -> None:
    card, _ = run_prepare({"all": jsonl({"text": "some text", "label": math.nan})}, JSONL)
    assert card.num_dropped == {"pool": {"blank_label": 1}}
    content = parquet_with_labels([0.0, 1.0] * 30 + [math.nan])
    card, _ = run_prepare({"all": content}, JSONL.model_copy(update={"format": "parquet"}))
    assert card.num_dropped == {"pool": {"blank_label": 1}}


@pytest.mark.parametrize("column", ["text_column", "label_column"])
def test_a_column_is_not_counted_from_the_end(column: str) -> None:
    columns = {"text_column": 0, "label_column": 1, column: -1}
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Reader.model_validate({"format": "csv", **columns})


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    for kind, content in (
        (PrepareParams, {**RULES, "split": {**RULES["split"], "seed": seed}}),
        (TransferParams, {"seed": seed, "augmentations": []}),
    ):
        with pytest.raises(ValidationError, match="4294967296" if seed > 0 else "greater than or equal to 0"):
            kind.model_validate(content)


def test_labels_that_contradict_across_splits_are_reported_and_the_held_out_row_stays(run_prepare: Run) -> None:
    files = {"train": GOOD + row("Some text"), "test": csv_bytes([("some text", "no"), ("another", "yes")])}
    card, folder = run_prepare(files)
    assert card.num_contradictory_texts == 1
    assert [(item.text, item.labels) for item in card.contradictions] == [("Some text", ("no", "yes"))]
    assert card.num_dropped == {"pool": {"in_test_already": 1}}
    assert sorted(read_columns(folder / "test.parquet").texts) == ["another", "some text"]


def test_a_text_that_stays_nowhere_is_not_said_to_be_elsewhere(run_prepare: Run) -> None:
    files = {
        "train": GOOD + row("some text"),
        "test": csv_bytes([("some text", "no"), ("some text", "yes"), ("another", "yes")]),
        "unlabelled": b"text\nSOME TEXT\nnew\n",
    }
    card, _ = run_prepare(files)
    assert card.num_contradictory_texts == 1
    assert card.num_dropped == {
        "pool": {"contradictory_label": 1},
        "test": {"contradictory_label": 2},
        "unlabelled": {"contradictory_label": 1},
    }


def test_an_unlabelled_twin_contradicts_nothing(run_prepare: Run) -> None:
    card, _ = run_prepare({"all": GOOD + row("some text"), "unlabelled": b"text\nsome text\nnew\n"})
    assert card.num_contradictory_texts == 0
    assert card.num_dropped == {"unlabelled": {"in_pool_already": 1}}


def test_quotes_chinese_and_emoji_come_through_unchanged(run_prepare: Run) -> None:
    texts = ["他说得很好", "👩‍🚀 went up 🚀", 'she said "no"', "naïve Ωmega", "مرحبا"]
    content = GOOD + "".join(f'"{text.replace(chr(34), chr(34) * 2)}","yes"\n' for text in texts).encode()
    card, folder = run_prepare({"all": content})
    kept = [text for name in ("train", "dev", "test") for text in read_columns(folder / f"{name}.parquet").texts]
    assert set(texts) <= set(kept)
    assert card.num_repaired == {}


def test_half_a_surrogate_pair_is_replaced_and_counted(run_prepare: Run) -> None:
    card, _ = run_prepare({"all": jsonl({"text": "broken \ud83d emoji", "label": "yes"})}, JSONL)
    assert card.num_repaired == {"lone_surrogates": 1}


def test_a_rating_of_zero_is_dropped_and_counted(run_prepare: Run) -> None:
    rows = "".join(f"{index}\t{index % 3 - 1}\tsnippet {index} of them\r\n" for index in range(90))
    reader = Reader(format="tsv", text_column=2, label_column=1, header=False, quoted=False, label_rule="sign")
    card, _ = run_prepare({"all": rows.encode()}, reader)
    assert card.num_dropped == {"pool": {"no_sign": 30}}
    assert set(card.splits["train"].num_rows_by_label) == {"negative", "positive"}


def test_the_markdown_card_explains_every_count(run_prepare: Run) -> None:
    content = GOOD + row("some | text") + row("some | text", "no") + row(" ") + row("a &amp; b")
    _, folder = run_prepare({"all": content})
    text = (folder / "card.md").read_text(encoding="utf-8")
    for line in (
        "dropped from pool: 1 (nothing was left",
        "repaired: 1 (entities",
        "Contradictions: 1",
        r"some \| text",
    ):
        assert line in text
