"""Files as users bring them: what swallowed rows, misled or ended in a traceback once."""

import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_sets import CSV, csv_bytes, good_rows

from pipestill.data.card import DataCard
from pipestill.data.decoding import decoded_lines
from pipestill.data.tables import read_columns
from pipestill.errors import DataError, ParamsError
from pipestill.params import parse_section
from pipestill.raw import Reader
from pipestill.sources.params import DatasetSource

Run = Callable[..., tuple[DataCard, Path]]
TSV = Reader(format="tsv", text_column="text", label_column="label")
JSONL = Reader(format="jsonl", text_column="text", label_column="label")
PARQUET = Reader(format="parquet", text_column="text", label_column="label")
BARE = Reader(format="csv", text_column=0, label_column=1, header=False)
ROWS = [(f"some words of row {index}", ("spam", "ham")[index % 2]) for index in range(120)]


def plain(rows: list[tuple[str, str]], separator: str = ",", *, label_first: bool = False) -> bytes:
    """Rows without any quotes of their own."""
    cells = [("text", "label"), *rows]
    return "".join(f"{separator.join(reversed(pair) if label_first else pair)}\n" for pair in cells).encode()


def open_and_close(first: int, last: int) -> list[tuple[str, str]]:
    """Rows of which one text begins with a quote and a later one ends in one."""
    rows = list(ROWS)
    rows[first] = (f'"{rows[first][0]}', rows[first][1])
    rows[last] = (f'{rows[last][0]}"', rows[last][1])
    return rows


def kept(folder: Path) -> list[str]:
    return [text for name in ("train", "dev", "test") for text in read_columns(folder / f"{name}.parquet").texts]


@pytest.mark.parametrize("last", [1, 2, 40, 119])
@pytest.mark.parametrize("first", [0])
@pytest.mark.parametrize("reader", [CSV, TSV.model_copy(update={"quoted": True})])
def test_a_quoted_field_that_holds_whole_rows_is_refused(
    run_prepare: Run, first: int, last: int, reader: Reader
) -> None:
    content = plain(open_and_close(first, last), reader.column_separator)
    with pytest.raises(DataError, match=f"line {first + 2}: a quoted field holds whole rows") as caught:
        run_prepare({"all": content}, reader)
    assert f"{last - first + 1} lines" in str(caught.value)
    assert "`quoted: false`" in str(caught.value)


def test_rows_are_found_in_a_field_behind_other_columns_and_where_labels_are_ratings(run_prepare: Run) -> None:
    rows = open_and_close(60, 75)
    cells = ["id\tlabel\ttext\tby", *(f"{place}\t{label}\t{text}\tme" for place, (text, label) in enumerate(rows)), ""]
    with pytest.raises(DataError, match="line 62: a quoted field holds whole rows"):
        run_prepare({"all": "\n".join(cells).encode()}, TSV.model_copy(update={"quoted": True}))
    rated = [(text, f"{place / 7 - 5:.3f}") for place, (text, _) in enumerate(rows)]
    with pytest.raises(DataError, match="line 62: a quoted field holds whole rows"):
        run_prepare({"all": plain(rated)}, CSV.model_copy(update={"label_rule": "sign"}))


def test_rows_are_found_in_a_file_without_labels(run_prepare: Run) -> None:
    more = "".join(f"{place},{text}\n" for place, (text, _) in enumerate(open_and_close(3, 9)))
    files = {"all": csv_bytes(ROWS), "unlabelled": f"id,text\n{more}".encode()}
    with pytest.raises(DataError, match="line 5: a quoted field holds whole rows"):
        run_prepare(files, CSV)


def test_texts_of_several_lines_stay_and_are_shown(run_prepare: Run, capsys: pytest.CaptureFixture[str]) -> None:
    letters = [
        ("Dear all,\nI liked it, spam\nbut the rest, frankly, was dull", "ham"),
        ("one,two\nthree,four\nfive", "spam"),
        ("para one\n\npara two, ham", "spam"),
    ]
    card, folder = run_prepare({"all": csv_bytes([*ROWS, *letters])})
    assert {" ".join(text.split()) for text, _ in letters} <= set(kept(folder))
    assert card.num_repaired["line_ends_in_quotes"] == 3
    shown = "3 row(s) have line ends in a quoted field; the longest, on line 122, takes 3 lines"
    assert shown in capsys.readouterr().out
    assert shown in (folder / "card.md").read_text()


def test_a_column_alone_that_swallows_rows_is_shown(run_prepare: Run, capsys: pytest.CaptureFixture[str]) -> None:
    more = "".join(f"{text}\n" for text, _ in open_and_close(3, 42))
    run_prepare({"all": csv_bytes(good_rows()), "unlabelled": f"text\n{more}\n".encode()}, CSV)
    assert "the longest, on line 5, takes 40 lines" in capsys.readouterr().out


def test_quotes_in_tsv_are_ordinary_characters_unless_params_say_otherwise(run_prepare: Run) -> None:
    card, folder = run_prepare({"all": plain(open_and_close(3, 42), "\t")}, TSV)
    assert card.num_rows_read == {"all": 120}
    assert '"some words of row 3' in kept(folder)


def test_fields_in_quotes_that_are_read_as_part_of_them_are_shown(
    run_prepare: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*ROWS, ('"she said ""no"", twice"', "spam")]
    run_prepare({"all": plain(rows, "\t")}, TSV)
    assert "1 row(s) have a field in double quotes" in capsys.readouterr().out
    quoted = plain([(f'"{text}"', label) for text, label in ROWS], "\t").replace(b"text\tlabel", b'"text"\t"label"')
    with pytest.raises(DataError, match="set `quoted: true`"):
        run_prepare({"all": quoted}, TSV)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_offered_and_read(run_prepare: Run, separator: str) -> None:
    content = plain(ROWS, separator)
    shown = '"\\t"' if separator == "\t" else f'"{separator}"'
    for reader in (CSV, BARE):
        with pytest.raises(DataError) as caught:
            run_prepare({"all": content}, reader)
        assert f"set `separator: {shown}`" in str(caught.value)
    card, _ = run_prepare({"all": content}, CSV.model_copy(update={"separator": separator}))
    assert card.num_rows_read == {"all": 120}


def test_a_separator_is_offered_where_texts_hold_the_usual_one(run_prepare: Run) -> None:
    rows = [("good, really", "spam"), ("no", "ham")]
    with pytest.raises(DataError, match='set `separator: ";"`'):
        run_prepare({"all": plain(rows, ";").split(b"\n", 1)[1]}, BARE)


def section(**changes: object) -> dict[str, Any]:
    own = {"kind": "local", "name": "own", "licence": "none", "format": "csv", "text_column": "text"}
    return {"d": {**own, "label_column": "label", "files": {"all": ["data/local/a.csv"]}, **changes}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"separator": ";;"}, "one character between columns"),
        ({"separator": "\\t"}, "in double quotes"),
        ({"separator": '"'}, "one character between columns"),
        ({"separator": ";", "format": "jsonl"}, "`separator` is for csv and tsv"),
        ({"text_column": 0}, "set `header: false`, or name the column"),
        ({"label_column": 1, "format": "parquet"}, "columns of parquet are named"),
        ({"files": {"all": "data/local/a.csv"}}, r"a list is expected, such as \[data/local/a.csv\]"),
        ({"files": {"train": ["data/local/a.csv"], "dev": "data/local/b.csv"}}, "a list is expected"),
    ],
)
def test_params_that_fit_no_file_are_refused_with_what_fits(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        parse_section(section(**changes), "d", DatasetSource)
    parse_section(section(separator="\t", header=False, text_column=0, label_column=1), "d", DatasetSource)


PACKED = {
    "csv.gz": (gzip.compress(csv_bytes(ROWS)), CSV),
    "two members of gzip": (gzip.compress(csv_bytes(ROWS[:60])) + gzip.compress(csv_bytes(ROWS[60:])[11:]), CSV),
    "jsonl.gz": (gzip.compress("".join(f'{{"text": "{t}", "label": "{x}"}}\n' for t, x in ROWS).encode()), JSONL),
    "tsv.gz in UTF-16": (gzip.compress(plain(ROWS, "\t").decode().encode("utf-16")), TSV),
    "UTF-16": (csv_bytes(ROWS).decode().encode("utf-16"), CSV),
    "UTF-16, the other order": (b"\xfe\xff" + csv_bytes(ROWS).decode().encode("utf-16-be"), CSV),
    "sep=;": (b"sep=;\r\n" + plain(ROWS, ";").replace(b"\n", b"\r\n"), CSV),
    "sep= in UTF-16": (("sep=\t\r\n" + plain(ROWS, "\t").decode()).encode("utf-16"), CSV),
}


@pytest.mark.parametrize("case", PACKED)
def test_what_office_programs_write_is_read(run_prepare: Run, case: str) -> None:
    content, reader = PACKED[case]
    card, folder = run_prepare({"all": content}, reader)
    assert card.num_rows_read == {"all": 120}
    assert sorted(kept(folder)) == sorted(text for text, _ in ROWS)
    assert ("utf_16" in card.num_repaired) == ("UTF-16" in case)
    assert ("separator_line" in card.num_repaired) == ("sep=" in case)


def test_a_line_that_names_another_separator_than_params_is_refused(run_prepare: Run) -> None:
    with pytest.raises(DataError, match="names another separator"):
        run_prepare({"all": b"sep=;\n" + plain(ROWS, ";")}, CSV.model_copy(update={"separator": "|"}))


def test_a_row_behind_a_line_that_names_the_separator_keeps_its_number(run_prepare: Run) -> None:
    with pytest.raises(DataError, match="line 3 has 3 columns"):
        run_prepare({"all": b"sep=;\ntext;label\na;b;c\n"}, CSV)


REFUSED = {
    "gzip that is cut": (gzip.compress(csv_bytes(ROWS))[:-20], CSV, "cannot be unpacked"),
    "a workbook": (b"PK\x03\x04" + b"\0" * 60, CSV, r"Excel workbook \(.xlsx\)"),
    "an old workbook": (b"\xd0\xcf\x11\xe0" + b"\0" * 60, CSV, "save it as"),
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        CSV,
        "git lfs pull",
    ),
    "such a pointer as parquet": (b"version https://git-lfs.github.com/spec/v1\n", PARQUET, "git lfs pull"),
    "parquet as csv": (b"PAR1" + b"\0" * 60, CSV, "format: parquet"),
    "bzip2": (b"BZh91AY&SY", JSONL, "by gzip"),
    "a bare CR in a later line": (plain(ROWS, "\t") + b"one\tham\rtwo\tham\n", TSV, "on line 122"),
    "brackets without end": (b'{"text": "a", "label": "b", "more": ' + b"[" * 100_000 + b"\n", JSONL, "too deep"),
    "a list of objects": (b'[{"text": "a", "label": "b"}]\n', JSONL, "one object a line; of a file that is one list"),
    "a column counted in a file with a header": (
        csv_bytes(ROWS),
        Reader(format="csv", text_column=0, label_column=1),
        "set `header: false`",
    ),
    "a header read as a row": (csv_bytes(ROWS), BARE, "line 1 is a header"),
    "a header in another language": (plain(ROWS).replace(b"text,label", b"Kommentar,Wertung"), BARE, "is a header"),
    "a row read as a header": (plain(ROWS).split(b"\n", 1)[1], CSV, "line 1 looks like a row"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_called_what_it_is(run_prepare: Run, case: str) -> None:
    content, reader, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        run_prepare({"all": content}, reader)


def test_a_first_row_of_two_words_is_a_row_where_its_label_occurs_again(run_prepare: Run) -> None:
    card, folder = run_prepare({"all": b"text,spam\n" + plain(ROWS).split(b"\n", 1)[1]}, BARE)
    assert card.num_rows_read == {"all": 121}
    assert "text" in kept(folder)


def test_a_file_that_is_left_half_read_is_closed(tmp_path: Path) -> None:
    for name, content in (("a", csv_bytes(ROWS)), ("b", PACKED["UTF-16"][0]), ("c", PACKED["csv.gz"][0])):
        (tmp_path / name).write_bytes(content)
        lines = decoded_lines(tmp_path / name, Counter())
        assert next(lines).startswith("text")
        lines.close()  # type: ignore[attr-defined]


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_a_string_of_parquet_that_is_no_utf_8_is_named_by_its_row(run_prepare: Run) -> None:
    for bad in ("text", "label"):
        texts: dict[str, Any] = {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
        raw = pa.array([*(value.encode() for value in texts[bad][:-1]), b"caf\xe9"], pa.binary())
        texts[bad] = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
        with pytest.raises(DataError, match="row 120 is not UTF-8"):
            run_prepare({"all": parquet(**texts)}, PARQUET)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (pa.array([0, 1] * 60, pa.int64()), ["0", "1"]),
        (pa.array([0, 1] * 60, pa.uint8()), ["0", "1"]),
        (pa.array([False, True] * 60), ["false", "true"]),
        (pa.array(["a", "b"] * 60).dictionary_encode(), ["a", "b"]),
        (pa.array([None, 1, 2] * 40, pa.int32()), ["1", "2"]),
    ],
)
def test_labels_of_parquet_may_be_numbers(run_prepare: Run, labels: Any, names: list[str]) -> None:
    card, _ = run_prepare({"all": parquet(text=[text for text, _ in ROWS], label=labels)}, PARQUET)
    assert sorted(card.splits["train"].num_rows_by_label) == names


def test_numbers_of_parquet_take_the_names_that_stand_beside_them(run_prepare: Run) -> None:
    features = {"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}
    table = pa.table({"text": [text for text, _ in ROWS], "label": [-1, *([0, 1] * 60)[1:]]})
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), buffer)
    card, _ = run_prepare({"all": buffer.getvalue()}, PARQUET)
    assert sorted(card.splits["train"].num_rows_by_label) == ["bad", "good"]
    assert card.num_dropped == {"pool": {"blank_label": 1}}


@pytest.mark.parametrize(
    ("column", "values"),
    [("label", [["a"]] * 120), ("label", [{"a": 1}] * 120), ("text", list(range(120))), ("text", [b"bytes"] * 120)],
)
def test_a_column_of_parquet_that_holds_no_texts_or_labels_is_named(
    run_prepare: Run, column: str, values: list[Any]
) -> None:
    columns: dict[str, Any] = {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
    with pytest.raises(DataError, match=f"the column '{column}' holds no"):
        run_prepare({"all": parquet(**columns | {column: values})}, PARQUET)
