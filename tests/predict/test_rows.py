import io

import pytest

from pipestill.errors import PredictError
from pipestill.predict.rows import InputFormat, Row, read_rows


@pytest.mark.parametrize(
    ("input_format", "content", "texts"),
    [
        ("lines", b"\xef\xbb\xbfgood\r\nbad", ["good", "bad"]),
        ("lines", "\u597d \U0001f600\n".encode(), ["\u597d \U0001f600"]),
        ("jsonl", b'{"text": "good"}\n"bad"\n', ["good", "bad"]),
        ("csv", b'id,text\n1,"a, ""quoted""\nfilm"\n2,plain\n', ['a, "quoted"\nfilm', "plain"]),
        ("lines", b"", []),
    ],
)
def test_each_format_gives_its_texts(input_format: InputFormat, content: bytes, texts: list[str]) -> None:
    rows = list(read_rows(io.BytesIO(content), input_format, "text"))
    assert [(row.text, row.problem) for row in rows] == [(text, None) for text in texts]


@pytest.mark.parametrize(
    ("input_format", "line", "problem"),
    [
        ("lines", b"caf\xe9", "not valid UTF-8"),
        ("lines", b"  ", "blank"),
        ("jsonl", b"{", "not JSON"),
        ("jsonl", b'{"other": 1}', "no text under"),
        ("jsonl", b'{"text": 3}', "no text under"),
    ],
)
def test_a_bad_row_says_why_and_the_next_is_read(input_format: InputFormat, line: bytes, problem: str) -> None:
    rows = list(read_rows(io.BytesIO(line + b'\n"good"\n'), input_format, "text"))
    assert problem in str(rows[0].problem)
    assert rows[1].problem is None


def test_a_blank_line_of_jsonl_is_no_row_and_others_keep_their_line_numbers() -> None:
    rows = list(read_rows(io.BytesIO(b'"good"\n\n \r\n"bad"\n\n'), "jsonl", "text"))
    assert rows == [Row(1, "good"), Row(4, "bad")]


def test_a_csv_row_with_other_fields_than_the_header_is_bad() -> None:
    rows = list(read_rows(io.BytesIO(b"id,text\n1\n2,good\n"), "csv", "text"))
    assert rows == [Row(2, "", "1 fields where the header has 2"), Row(3, "good", None)]


def test_a_row_says_the_line_it_begins_on_and_a_blank_line_of_csv_is_no_row() -> None:
    content = b'id,text\n1,"two\nlines"\n\n2,good\n'
    assert list(read_rows(io.BytesIO(content), "csv", "text")) == [Row(2, "two\nlines"), Row(5, "good")]
    assert [row.line for row in read_rows(io.BytesIO(b"good\nbad\n"), "lines", "text")] == [1, 2]


def test_json_nested_too_deep_is_a_bad_row() -> None:
    rows = list(read_rows(io.BytesIO(b"[" * 100_000 + b'\n"good"\n'), "jsonl", "text"))
    assert "not JSON" in str(rows[0].problem)
    assert rows[1] == Row(2, "good")


def test_a_csv_without_the_column_is_an_error() -> None:
    with pytest.raises(PredictError, match="no column 'text'"):
        list(read_rows(io.BytesIO(b"id,body\n"), "csv", "text"))


def test_rows_are_read_as_they_are_asked_for() -> None:
    class Endless(io.RawIOBase):
        def __iter__(self) -> "Endless":
            return self

        def __next__(self) -> bytes:
            return b"good\n"

    rows = read_rows(Endless(), "lines", "text")  # type: ignore[arg-type]
    assert [next(rows).line for _ in range(3)] == [1, 2, 3]
