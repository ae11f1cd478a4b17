"""Labels that look alike, texts that cannot be seen, few rows a label, and what the card opens with."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_sets import csv_bytes, good_rows

from pipestill.data.card import DataCard
from pipestill.data.cleaning import CleaningRules, clean_label, clean_text
from pipestill.data.look_alikes import look_alikes, visible
from pipestill.data.split import rare_below
from pipestill.errors import DataError
from pipestill.raw import Reader

Run = Callable[..., tuple[DataCard, Path]]
RULES = CleaningRules(unescape_html=False, max_chars=50, over_long="cut")
PARAMS = {"split": {"seed": 0, "dev_fraction": 0.1, "test_fraction": 0.15, "rare_label_rows": 5}}


@pytest.mark.parametrize(
    "group",
    [
        *(("0", "0.0"), ("1", "1e0"), ("01", "1"), ("-0", "0"), ("Spam", "spam"), ("True", "true")),
        *(("spam", "sp\u200bam"), ("spam", "\u202espam"), ("\uff53pam", "spam"), ("card_fee", "card-fee")),
        *(("card fee", "card_fee"), ("Straße", "strasse"), ("s\u0440am", "spam")),
    ],
)
def test_labels_that_look_alike_are_found(group: tuple[str, str]) -> None:
    assert look_alikes([*group, "another"]) == (tuple(sorted(group)),)


@pytest.mark.parametrize(
    "pair", [("0", "1"), ("1.0", "1.01"), ("e1", "1e"), ("good", "goods"), ("c", "c++"), ("é", "e")]
)
def test_labels_that_differ_are_left_alone(pair: tuple[str, str]) -> None:
    assert look_alikes(pair) == ()


@given(st.lists(st.text(max_size=8), unique=True, max_size=8))
def test_any_labels_can_be_compared_and_shown(labels: list[str]) -> None:
    for group in look_alikes(labels):
        assert len(group) > 1
    assert all(visible(label).isprintable() for label in labels)


def test_labels_that_look_alike_stay_apart_and_are_listed(run_prepare: Run, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("0", "0.0", "spam", "sp\u200bam")
    card, folder = run_prepare({"all": csv_bytes([(f"text {index}", labels[index % 4]) for index in range(160)])})
    assert card.look_alike_labels == ({"0": 40, "0.0": 40}, {"spam": 40, "sp\u200bam": 40})
    expected = r"0 (40 rows) and 0.0 (40 rows); spam (40 rows) and sp\u200bam (40 rows)"
    assert expected in capsys.readouterr().out
    lines = (folder / "card.md").read_text(encoding="utf-8").replace("\\\\", "\\").splitlines()
    assert lines[2].startswith("1. Labels look alike")
    assert expected in lines[2]


@pytest.mark.parametrize("text", ["\u200b", "\u200d \ufe0f", "\u3164", "\u2800\u2800", "\u00ad\n", "\U000e0041"])
def test_a_text_or_label_that_cannot_be_seen_is_blank(text: str) -> None:
    assert clean_text(text, RULES).reason == "blank_text"
    assert clean_label(text) == ""
    assert clean_text(f"{text}a", RULES).text


@pytest.mark.parametrize(("num_labels", "num_rows"), [(150, 4), (2, 4), (2, 50), (10, 4), (77, 2), (3, 3)])
def test_a_few_rows_a_label_are_cut_and_train_has_every_label(run_prepare: Run, num_labels: int, num_rows: int) -> None:
    rows = [(f"text {row} of {label}", f"label {label:03d}") for label in range(num_labels) for row in range(num_rows)]
    card, _ = run_prepare({"all": csv_bytes(rows)}, **PARAMS)
    assert len(card.splits["train"].num_rows_by_label) == num_labels
    for split in ("dev", "test"):
        assert card.splits[split].num_rows >= 2
        assert len(card.splits[split].num_rows_by_label) >= 2
    assert sum(card.splits[name].num_rows for name in ("train", "dev", "test")) == len(rows)
    assert card.rare_labels == {}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([100, 100, 3], 5), ([4] * 150, 2), ([500, *([4] * 100)], 2), ([60, 60, *([4] * 100)], 2), ([600, 600, 4], 5)],
)
def test_what_is_rare_depends_on_what_is_usual(counts: list[int], expected: int) -> None:
    assert rare_below({str(place): count for place, count in enumerate(counts)}, 5) == expected
    assert rare_below({str(place): count for place, count in enumerate(counts)}, 0) == 0


def test_without_two_rows_of_a_label_the_message_says_what_would_help(run_prepare: Run) -> None:
    rows = [(f"text number {index}", f"label {index}") for index in range(40)]
    with pytest.raises(DataError) as caught:
        run_prepare({"all": csv_bytes(rows)}, **PARAMS)
    assert "bring more rows of a label" in str(caught.value)
    assert "fraction" not in str(caught.value)


def test_swapped_columns_are_named(run_prepare: Run) -> None:
    with pytest.raises(DataError) as caught:
        run_prepare({"all": csv_bytes([(label, text) for text, label in good_rows()])})
    assert "60 rows read; 60 dropped: a text that has different labels" in str(caught.value)
    assert "swap text_column and label_column" in str(caught.value)


def test_an_empty_column_is_named_by_what_was_dropped(run_prepare: Run) -> None:
    content = "text,empty,label\n" + "".join(f"{text},,{label}\n" for text, label in good_rows())
    with pytest.raises(DataError) as caught:
        run_prepare({"all": content.encode()}, Reader(format="csv", text_column="empty", label_column="label"))
    assert "60 dropped: nothing was left of the text" in str(caught.value)
    assert "swap" not in str(caught.value)


def test_a_split_of_the_source_without_rows_is_told_why(run_prepare: Run) -> None:
    files = {"train": csv_bytes(good_rows()), "test": csv_bytes([(" ", "yes"), ("\u200b", "no")])}
    with pytest.raises(DataError) as caught:
        run_prepare(files)
    assert "2 dropped: nothing was left of the text" in str(caught.value)
    assert "correct the test file" in str(caught.value)


def test_an_unseen_label_that_looks_like_a_seen_one_is_shown_beside_it(run_prepare: Run) -> None:
    files = {"train": csv_bytes(good_rows()), "test": csv_bytes([("new", "Yes"), ("newer", "no")])}
    with pytest.raises(DataError, match=r"\(Yes, yes look alike\)"):
        run_prepare(files)


def test_the_card_opens_with_three_things_the_worst_first(run_prepare: Run, capsys: pytest.CaptureFixture[str]) -> None:
    uneven = [(f"text {index}", "rare" if index < 4 else "usual" if index < 40 else "common") for index in range(400)]
    _, folder = run_prepare({"all": csv_bytes([*uneven, *uneven[:100]])}, **PARAMS)
    card = (folder / "card.md").read_text()
    opening = card.split("\n\n")[1].splitlines()
    assert [line[:3] for line in opening] == ["1. ", "2. ", "3. "]
    assert opening[0] == "1. 1 of 3 labels have no test row: rare"
    out = capsys.readouterr().out
    assert "100 of 500 labelled rows (20%) were dropped" in out
    assert "Labels are uneven" in out
    _, folder = run_prepare({"all": csv_bytes(good_rows(400))})
    opening = (folder / "card.md").read_text().split("\n\n")[1].splitlines()
    assert "of 2 labels, from 400 rows read" in opening[0]
    assert Counter(line[0] for line in opening) == {"1": 1, "2": 1, "3": 1}
