"""The transfer set: made of train and unlabelled rows only, once each, the same bytes each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest
from prepared_sets import sentences

from pipestill.data.cleaning import normalise
from pipestill.errors import DataError, ParamsError
from pipestill.fingerprint import content_id, sha256_files
from pipestill.params import parse_section
from pipestill.transfer import Augmentation
from pipestill.transfer._base import Row, TransferInputs
from pipestill.transfer.build import TransferCard, build_transfer
from pipestill.transfer.params import TransferParams

RECIPE: list[dict[str, Any]] = [
    {"kind": "mask_words", "copies": 2, "fraction": 0.15},
    {"kind": "crop_ngrams", "copies": 2, "min_fraction": 0.3, "max_fraction": 0.8},
    {"kind": "mix_rows", "copies": 1},
    {"kind": "unlabelled", "fraction": 1.0},
]
TRAIN = sentences("t", 80)
HELD_OUT = {"dev": sentences("d", 10), "test": sentences("e", 10)}
OTHERS = sentences("u", 30)
SPECS = [parse_section({"a": spec}, "a", Augmentation) for spec in RECIPE]
ROWS = sorted(Row(content_id(text), text) for text in TRAIN)
UNLABELLED = sorted(Row(content_id(text), text) for text in OTHERS)


def build(folder: Path, out: Path, seed: int = 0, recipe: list[dict[str, Any]] = RECIPE) -> TransferCard:
    params = TransferParams.model_validate({"seed": seed, "augmentations": recipe})
    return build_transfer(folder, out, params, out.parent / "scratch", mask_token="[MASK]")


def rows_of(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "rows.parquet").to_pylist()


@pytest.fixture
def made(prepared: Callable[..., Path], tmp_path: Path) -> list[dict[str, Any]]:
    build(prepared(train=TRAIN, unlabelled=OTHERS, **HELD_OUT), tmp_path / "out")
    return rows_of(tmp_path / "out")


def test_every_registered_augmentation_is_tested_here() -> None:
    union = get_args(get_args(Augmentation)[0])
    assert {type(spec) for spec in SPECS} == set(union)


def test_ids_are_those_of_the_texts_unique_and_sorted(made: list[dict[str, Any]]) -> None:
    ids = [row["content_id"] for row in made]
    assert ids == [content_id(row["text"]) for row in made]
    assert ids == sorted(set(ids))


def test_an_augmented_row_never_has_the_id_of_a_parent(made: list[dict[str, Any]]) -> None:
    assert all(row["content_id"] not in row["parent_ids"] for row in made)
    assert all(row["parent_ids"] for row in made if row["origin"] not in {"train", "unlabelled"})


def test_all_parents_are_train_rows(made: list[dict[str, Any]]) -> None:
    train = {row.content_id for row in ROWS}
    assert {parent for row in made for parent in row["parent_ids"]} <= train
    assert {row["content_id"] for row in made if row["origin"] == "train"} == train


def test_only_train_rows_carry_a_label(made: list[dict[str, Any]]) -> None:
    for row in made:
        assert row["label_id"] == (len(row["text"]) % 2 if row["origin"] == "train" else -1)


def test_nothing_that_normalises_to_a_dev_or_test_text_gets_in(prepared: Callable[..., Path], tmp_path: Path) -> None:
    first = build(prepared(train=TRAIN, unlabelled=OTHERS), tmp_path / "first")
    made = [row["text"] for row in rows_of(tmp_path / "first") if row["origin"] != "train"]
    held_out = {"dev": [text.upper() for text in made[::3]], "test": [f" {text}  " for text in made[1::3]]}
    second = build(prepared(train=TRAIN, unlabelled=OTHERS, **held_out), tmp_path / "second")
    texts = {normalise(row["text"]) for row in rows_of(tmp_path / "second")}
    assert not texts & {normalise(text) for split in held_out.values() for text in split}
    assert second.num_rows < first.num_rows
    assert sum(origin.num_held_out for origin in second.origins.values()) >= len(made) * 2 // 3


def test_dev_and_test_rows_change_nothing_but_by_exclusion(prepared: Callable[..., Path], tmp_path: Path) -> None:
    build(prepared(train=TRAIN, unlabelled=OTHERS), tmp_path / "without")
    build(prepared(train=TRAIN, unlabelled=OTHERS, **HELD_OUT), tmp_path / "with")
    assert sha256_files(tmp_path / "without") == sha256_files(tmp_path / "with")


def test_two_runs_give_the_same_bytes_and_another_seed_does_not(prepared: Callable[..., Path], tmp_path: Path) -> None:
    folder = prepared(train=TRAIN, unlabelled=OTHERS, **HELD_OUT)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        build(folder, tmp_path / name, seed)
    assert sha256_files(tmp_path / "a") == sha256_files(tmp_path / "b") != sha256_files(tmp_path / "c")


def test_the_card_counts_every_row_that_was_made(prepared: Callable[..., Path], tmp_path: Path) -> None:
    card = build(prepared(train=[*TRAIN, "word"], unlabelled=OTHERS, **HELD_OUT), tmp_path / "out")
    assert card.origins["train"].num_rows == 81
    assert card.origins["mask_words"].num_made == card.origins["crop_ngrams"].num_made == 160
    assert card.origins["unlabelled"].num_rows == 30
    for origin in card.origins.values():
        assert origin.num_made == origin.num_held_out + origin.num_duplicates + origin.num_rows
    assert card.num_rows == len(rows_of(tmp_path / "out")) == sum(each.num_rows for each in card.origins.values())


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_an_added_row_changes_what_becomes_of_few_others(spec: Any) -> None:
    more = sorted([*ROWS, Row(content_id("a new row of text"), "a new row of text")])
    before, after = (list(spec.new_rows(TransferInputs(rows, UNLABELLED, 0, "[MASK]"))) for rows in (ROWS, more))
    assert before == list(spec.new_rows(TransferInputs(ROWS, UNLABELLED, 0, "[MASK]")))
    lost = set(before) - set(after)
    assert len(lost) <= (8 if spec.kind == "mix_rows" else 0)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize(
    "texts", [["word"], ["a b", "c d"], ["他说得很好看的电影", "我不喜欢这部电影"], ["👍", "👎 no"]]
)
def test_short_and_unspaced_texts_are_no_special_case(spec: Any, texts: list[str]) -> None:
    rows = sorted(Row(content_id(text), text) for text in texts)
    for row in spec.new_rows(TransferInputs(rows, rows, 0, "[MASK]")):
        assert row.text.strip() == row.text != ""
        assert all(content_id(row.text) != parent for parent in row.parent_ids)


def test_unspaced_text_is_masked_and_cropped_by_character() -> None:
    rows = [Row(content_id("他说得很好看的电影"), "他说得很好看的电影")]
    masked, cropped = (list(spec.new_rows(TransferInputs(rows, [], 0, "[MASK]"))) for spec in SPECS[:2])
    assert all("[MASK]" in row.text and " " not in row.text for row in masked)
    assert all(row.text in rows[0].text for row in cropped)


def test_masking_leaves_the_other_words_where_they_were() -> None:
    texts = {row.content_id: row.text.split() for row in ROWS}
    for row in SPECS[0].new_rows(TransferInputs(ROWS, [], 0, "[MASK]")):
        words = texts[row.parent_ids[0]]
        pairs = list(zip(row.text.split(), words, strict=True))
        assert all(new in {"[MASK]", old} for new, old in pairs)
        assert 0 < sum(new == "[MASK]" for new, _ in pairs) < len(words)


def test_a_mix_is_half_of_each_parent() -> None:
    texts = {row.content_id: row.text.split() for row in ROWS}
    for row in SPECS[2].new_rows(TransferInputs(ROWS, [], 0, "[MASK]")):
        first, second = (texts[parent] for parent in row.parent_ids)
        assert row.text.split() == [*first[: (len(first) + 1) // 2], *second[len(second) // 2 :]]


def test_a_share_of_the_unlabelled_rows_is_about_that_share() -> None:
    spec = parse_section({"a": {"kind": "unlabelled", "fraction": 0.5}}, "a", Augmentation)
    rows = [Row(content_id(str(number)), str(number)) for number in range(1000)]
    assert len(list(spec.new_rows(TransferInputs([], rows, 0, "[MASK]")))) == pytest.approx(500, abs=60)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "back_translate"}, "back_translate"),
        ({"kind": "mask_words", "copies": 0, "fraction": 2.0, "mask_token": ""}, "3 value"),
        ({"kind": "crop_ngrams", "copies": 1, "min_fraction": 0.9, "max_fraction": 0.2}, "must not be above"),
    ],
)
def test_wrong_params_are_refused_by_name(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        parse_section({"transfer": {"seed": 0, "augmentations": [spec]}}, "transfer", TransferParams)


def test_a_kind_stands_once() -> None:
    with pytest.raises(ParamsError, match="may occur once"):
        parse_section({"transfer": {"seed": 0, "augmentations": RECIPE[2:3] * 2}}, "transfer", TransferParams)


def test_masking_with_a_base_that_has_no_mask_token_is_refused() -> None:
    with pytest.raises(DataError, match=r"(?s)mask_words needs a mask token.*remove mask_words"):
        list(SPECS[0].new_rows(TransferInputs(ROWS, [], 0, None)))
