"""Reading rows from lines, JSONL, CSV or TSV one at a time, so that unbounded input needs bounded memory."""

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple, get_args

from pipestill.errors import PredictError
from pipestill.json_text import parse_json
from pipestill.predict.decoding import TooLong, decoded_lines
from pipestill.predict.delimited import TAB, read_delimited
from pipestill.predict.texts import has_lone_surrogate, is_blank

InputFormat = Literal["lines", "jsonl", "csv", "tsv"]
FORMATS: tuple[InputFormat, ...] = get_args(InputFormat)


class Row(NamedTuple):
    """One row of input.

    Attributes:
        line: line of the input that it begins on, counted from 1; the header of a CSV is line 1.
        text: text of the row.
        problem: reason why it cannot be classified, or None.
    """

    line: int
    text: str
    problem: str | None = None


def read_rows(
    file: BinaryIO, input_format: InputFormat, text_column: str, *, separator: str | None = None
) -> Iterator[Row]:
    """Read the rows of one input.

    Args:
        file: bytes, UTF-8 with or without a byte order mark, or UTF-16 with one.
        input_format: `lines` takes a line as a text; `jsonl` a JSON string or an object; `csv` and `tsv` have a header,
            and in `csv` double quotes may enclose a field. A blank line is skipped in JSONL, CSV and TSV, and a bad row
            in `lines`.
        text_column: key or column that holds the text.
        separator: character between columns of csv and tsv; None for a comma and a tab.

    Yields:
        One row per line or record; an unusable row holds its problem, and the next is read. A line of more than 16 MiB
        is unusable.

    Raises:
        PredictError: a CSV input lacks the column or has several of its name, or the input is not text.
    """
    if input_format not in FORMATS:
        raise PredictError(f"{input_format!r} is not an input format", expected=f"one of {', '.join(FORMATS)}")
    lines = decoded_lines(file)
    if input_format == "jsonl":
        rows = (
            _parse_json(line, content, text_column) for line, content in enumerate(lines, 1) if not _is_empty(content)
        )
    elif input_format == "lines":
        rows = (_parse_line(line, content) for line, content in enumerate(lines, 1))
    else:
        usual = "," if input_format == "csv" else TAB
        records = read_delimited(lines, text_column, separator or usual, quoted=input_format == "csv")
        rows = (Row(record.line, record.text, record.problem) for record in records)
    for row in rows:
        yield row if row.problem else row._replace(problem=_find_problem(row.text))


def _find_problem(text: str) -> str | None:
    if has_lone_surrogate(text):
        bytes_only = all(not has_lone_surrogate(char) or "\udc80" <= char <= "\udcff" for char in text)
        return "the text is not valid UTF-8" if bytes_only else "the text holds half of a surrogate pair"
    return "the text is blank" if is_blank(text) else None


def _is_empty(line: str) -> bool:
    return not line.strip() and not isinstance(line, TooLong)


def _parse_line(line: int, content: str) -> Row:
    if isinstance(content, TooLong):
        return Row(line, "", content.problem)
    text = content.rstrip("\r\n")
    if "\r" in text:
        return Row(line, text, "a carriage return (CR) that no newline follows: more than one text, or a mistake")
    return Row(line, text)


def _parse_json(line: int, content: str, text_column: str) -> Row:
    if isinstance(content, TooLong):
        return Row(line, "", content.problem)
    try:
        value = parse_json(content)
    except ValueError as error:
        return Row(line, "", f"not JSON: {error}")
    text = value.get(text_column) if isinstance(value, dict) else value
    if isinstance(text, str):
        return Row(line, text)
    return Row(line, "", f"no text under {text_column!r}: found {type(text).__name__}")
