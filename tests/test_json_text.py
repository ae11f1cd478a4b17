"""JSON of others: nesting is refused before a parser sees it, wherever it is read."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pipestill.data.reading import read_rows
from pipestill.errors import DataError, SourceError
from pipestill.json_text import MAX_DEPTH, NestingError, parse_json, refuse_deep
from pipestill.predict.rows import read_rows as read_inputs
from pipestill.raw import Reader
from pipestill.sources.hub import is_json_lines
from pipestill.sources.whole import check_model_files

DEEP = "[" * 100_000 + "]" * 100_000
ROW = f'{{"text": "a", "label": "b", "more": {DEEP}}}\n'


@pytest.mark.parametrize("depth", [1, MAX_DEPTH, MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize("kind", ["[]", "{}"])
def test_the_depth_alone_decides(depth: int, kind: str) -> None:
    opening = {"[]": "[", "{}": '{"a":'}[kind]
    text = opening * depth + "1" + kind[1] * depth
    if depth > MAX_DEPTH:
        with pytest.raises(NestingError, match=f"more than {MAX_DEPTH} levels"):
            parse_json(text)
    else:
        assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    "value",
    [
        "[" * 1000,
        'quoted " and [' * 200,
        "\\" * 3 + '"' + "[" * 1000,
        [[1, 2]] * 1000,
        [{"a": ["}", "]"]}] * 500,
        "\ud83d",
    ],
)
def test_brackets_in_strings_and_side_by_side_are_no_depth(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1)):
        assert parse_json(text) == value
        assert parse_json(text.encode("utf-16")) == value
        for size in (1, 7):
            refuse_deep(text[start : start + size] for start in range(0, len(text), size))


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_depth_is_found_in_parts_cut_anywhere(size: int) -> None:
    text = json.dumps({'a\\"[': "]\\"}) + DEEP
    with pytest.raises(NestingError):
        refuse_deep(text[start : start + size] for start in range(0, 20_000, size))


def test_every_reader_of_json_refuses_the_depth_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "label": "b"}\n' + ROW)
    reader = Reader(format="jsonl", text_column="text", label_column="label")
    with pytest.raises(DataError, match=r"(?s)rows\.jsonl, line 2 is not JSON.*more than 100 levels"):
        list(read_rows(path, reader, labelled=True, repairs=Counter()))
    with path.open("rb") as file:
        good, bad = read_inputs(file, "jsonl", "text")
    assert (good.problem, bad.problem) == (None, "not JSON: brackets nested too deeply: more than 100 levels")
    path.write_text(ROW)
    assert not is_json_lines(path)
    (tmp_path / "config.json").write_text(ROW)
    with pytest.raises(SourceError, match=r"(?s)own/config\.json is truncated or not JSON.*more than 100 levels"):
        check_model_files(tmp_path, "own")
