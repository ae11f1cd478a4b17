import io

import pytest

from pipestill.errors import PredictError
from pipestill.predict import bounds, decoding, delimited
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
        def readline(self, size: int | None = -1, /) -> bytes:
            return b"good\n"

    rows = read_rows(Endless(), "lines", "text")  # type: ignore[arg-type]
    assert [next(rows).line for _ in range(3)] == [1, 2, 3]


def rows_of(content: bytes, input_format: InputFormat = "csv", **options: str) -> list[tuple[int, str]]:
    """Line and text, or line and what is wrong."""
    rows = read_rows(io.BytesIO(content), input_format, "text", **options)
    return [(row.line, row.problem or row.text) for row in rows]


def test_a_quote_that_is_never_closed_costs_its_own_row_alone() -> None:
    content = b'text\nfirst good text\n"second text begins with a quotation\nthird text\nfourth text\nfifth text\n'
    found = rows_of(content)
    assert [line for line, _ in found] == [2, 3, 4, 5, 6]
    assert found[1][1] == "the quotes do not match: one opens here and is never closed"
    assert [text for _, text in found[2:]] == ["third text", "fourth text", "fifth text"]


def test_a_quote_that_a_later_row_closes_costs_its_own_row_alone() -> None:
    content = b'id,text\n1,"opens\n2,good\n3,"bad" film\n4,plain\n'
    assert [line for line, text in rows_of(content) if "quotes" not in text] == [3, 5]
    swallowed = b'id,text,by\n1,"opens,me\n2,good,me\n3,closes",me\n4,plain,me\n'
    found = rows_of(swallowed)
    assert found[0] == (2, "the quotes do not match: a field holds 3 whole rows")
    assert found[1:] == [(3, "good"), (4, 'closes"'), (5, "plain")]


def test_a_long_file_of_open_quotes_is_read_in_linear_time() -> None:
    rows = 20_000
    content = b"text\n" + b'"open\nplain\n' * rows
    found = rows_of(content)
    assert len(found) >= rows
    assert max(line for line, _ in found) == 2 * rows + 1


def test_a_letter_of_several_lines_is_one_text() -> None:
    content = b'id,text\n1,"Dear all, I liked it.\nBut the end, frankly, was dull.\n\nBye, A."\n2,good\n'
    assert [line for line, _ in rows_of(content)] == [2, 6]


@pytest.mark.parametrize("content", [b"text,label\rfirst,a\rsecond,b\r", b"text\rfirst\r"])
def test_an_input_that_ends_its_lines_in_bare_cr_is_refused(content: bytes) -> None:
    for input_format in ("csv", "tsv", "lines", "jsonl"):
        with pytest.raises(PredictError, match="ends its lines in bare CR"):
            rows_of(content, input_format)  # type: ignore[arg-type]


def test_a_bare_cr_in_a_later_line_marks_its_row() -> None:
    assert "carriage return" in rows_of(b"good\nfirst\rsecond\nbad\n", "lines")[1][1]
    assert rows_of(b"good\nfirst\rsecond\nbad\n", "lines")[2] == (3, "bad")
    assert "carriage return" in rows_of(b"text,id\ngood,1\nfirst,1\rsecond,2\nbad,3\n")[1][1]
    assert "carriage return" in rows_of(b"text\tid\nfirst\t1\rsecond\t2\n", "tsv")[0][1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_with_a_mark_is_read(encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    text = "\u0a0a \u010a good"  # characters of which one byte is a newline's
    content = f"{mark}text\r\n{text}\r\nbad\r\n".encode(encoding)
    assert rows_of(content) == [(2, text), (3, "bad")]
    assert rows_of(content, "lines") == [(1, "text"), (2, text), (3, "bad")]
    with pytest.raises(PredictError, match="not whole UTF-16"):
        rows_of(content[:-1])


def test_a_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(PredictError, match=r"(?s)more than one column 'text'.*rename"):
        rows_of(b"text,text\na,b\n")


def test_another_separator_is_offered_and_read() -> None:
    with pytest.raises(PredictError, match="--separator ';'"):
        rows_of(b"text;label\na;b\n")
    assert rows_of(b"text;label\na;b\n", separator=";") == [(2, "a")]
    assert rows_of(b"sep=;\r\ntext;label\r\na;b\r\n") == [(3, "a")]
    assert rows_of(b'text\tlabel\n"a\tb\nc"\td\n', "tsv") == [(2, '"a'), (3, 'c"')]


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08", b"PK\x03\x04", b"PAR1", b"\xff\xfe\0\0t\0\0\0"])
def test_an_input_that_is_no_text_is_called_what_it_is(content: bytes) -> None:
    with pytest.raises(PredictError, match="is not text"):
        rows_of(content, "lines")


def test_a_text_that_cannot_be_seen_is_blank_and_half_a_pair_is_told_from_wrong_bytes() -> None:
    assert rows_of("\u200b\u2800\n".encode(), "lines") == [(1, "the text is blank")]
    assert rows_of(b'"\\ud83d"\n', "jsonl") == [(1, "the text holds half of a surrogate pair")]
    assert rows_of(b'"caf\xe9"\n', "jsonl") == [(1, "the text is not valid UTF-8")]


def test_a_reader_of_another_kind_is_refused() -> None:
    with pytest.raises(PredictError, match="opened for bytes"):
        list(read_rows(io.StringIO("good\n"), "lines", "text"))  # type: ignore[arg-type]
    with pytest.raises(PredictError, match="not an input format"):
        rows_of(b"good\n", "xml")  # type: ignore[arg-type]


@pytest.fixture
def short_lines(monkeypatch: pytest.MonkeyPatch) -> int:
    """The limit of a line, low enough to be exceeded by a few bytes."""
    for module in (decoding, delimited):
        monkeypatch.setattr(module, "MOST_LINE_BYTES", 64)
    monkeypatch.setattr(delimited, "MOST_RECORD_LINES", 8)
    return 64


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("input_format", ["lines", "jsonl", "csv", "tsv"])
def test_a_line_that_is_too_long_is_refused_with_its_number_and_the_next_is_read(
    input_format: InputFormat, encoding: str, short_lines: int
) -> None:
    rows = ["text", "good", "x" * short_lines, "y" * 5 * short_lines, "\u0a0a" * short_lines, "bad", "z" * short_lines]
    if input_format == "jsonl":
        rows = [f'"{row}"' for row in rows]
    found = rows_of("\n".join(rows).encode(encoding), input_format)
    assert [line for line, text in found if "the most that one line may have" in text] == [3, 4, 5, 7]
    assert [text for _, text in found if text in {"good", "bad"}] == ["good", "bad"]


def test_a_line_of_the_greatest_length_is_read(short_lines: int) -> None:
    longest = "x" * (short_lines - 1)
    assert rows_of(f"{longest}\n{longest}".encode(), "lines") == [(1, longest), (2, longest)]


def test_a_header_that_is_too_long_is_an_error(short_lines: int) -> None:
    for input_format in ("csv", "tsv"):
        with pytest.raises(PredictError, match="the header of the input is longer than"):
            rows_of(b"text" * short_lines + b"\ngood\n", input_format)  # type: ignore[arg-type]


def test_memory_holds_one_line_of_an_endless_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        held = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 < size <= bounds.MOST_LINE_BYTES
            self.held += 1
            return b"\n" if self.held > 20 else b"x" * size

    rows = read_rows(Endless(), "lines", "text")  # type: ignore[arg-type]
    assert "16 MiB" in str(next(rows).problem)


@pytest.mark.parametrize("row", ["a", "plain", "a plain row, " * 3])
def test_a_quote_that_is_not_closed_within_the_bounds_costs_its_own_row_alone(row: str, short_lines: int) -> None:
    """Closed at the far end or never: the rows between are rows."""
    rows = [row.replace(",", "")] * 12
    for end in ("", 'closed"\n'):
        found = rows_of(("text\n" + '"open\n' + "".join(f"{row}\n" for row in rows) + end).encode())
        assert "is not closed within" in found[0][1]
        assert [text for _, text in found[1:13]] == rows
