"""Masks: which tokens, how many, and always the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

import tiny
from mlm.tiny_mlm import MASKS_PARAMS, draw_masks, rows_of
from pipestill.data.schema import UNLABELLED_ROWS
from pipestill.data.split import text_key
from pipestill.data.tables import TableWriter, open_table
from pipestill.errors import DataError, ModelError, ParamsError
from pipestill.fingerprint import content_id
from pipestill.mlm.masks import MaskDrawer, MlmMasksCard, write_masks
from pipestill.mlm.params import MlmMasksParams
from pipestill.mlm.texts import Text
from pipestill.params import parse_section
from pipestill.text.tokenizer import load_tokenizer


@pytest.fixture
def tokenizer(base: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(base)


def params(**changes: Any) -> MlmMasksParams:
    return MlmMasksParams(**{**MASKS_PARAMS, **changes})


def written(
    path: Path, texts: list[str], tokenizer: PreTrainedTokenizerBase, **changes: Any
) -> tuple[MlmMasksCard, dict[str, Any]]:
    """Masks of some texts in the order given; the rows by split."""
    rows = [Text(content_id(text), text_key(text), text) for text in texts]
    card = write_masks(params(**changes), tokenizer, rows, path)
    return card, {name: list(open_table(path / f"{name}.parquet")) for name in ("train", "dev")}


def test_shares_are_what_the_params_say_over_many_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    drawer = MaskDrawer(params(), tokenizer)
    draw = np.random.default_rng(0)
    masked = random = kept = total = 0
    for row in range(400):
        ids = [2, *draw.integers(5, 47, 100).tolist(), 3]
        found = drawer.draw(str(row), ids)
        assert found is not None
        assert len(found.positions) == 15
        now = found.input_ids[found.positions]
        masked += int((now == tokenizer.mask_token_id).sum())
        kept += int((now == found.original_ids).sum())
        random += int(((now != tokenizer.mask_token_id) & (now != found.original_ids)).sum())
        total += len(now)
    assert masked / total == pytest.approx(0.8, abs=0.02)
    assert random / total == pytest.approx(0.1 * 41 / 42, abs=0.015)
    assert kept / total == pytest.approx(0.1 + 0.1 / 42, abs=0.015)


def test_special_tokens_are_neither_masked_nor_put_anywhere(tokenizer: PreTrainedTokenizerBase) -> None:
    drawer = MaskDrawer(params(masked_fraction=0.9, mask_token_fraction=0.0, random_token_fraction=1.0), tokenizer)
    for row in range(200):
        found = drawer.draw(str(row), [2, 7, 8, 1, 9, 3])
        assert found is not None
        assert set(found.positions.tolist()) <= {1, 2, 4}
        assert not set(found.input_ids[found.positions].tolist()) & set(range(len(tiny.SPECIAL)))


def test_what_is_not_masked_stays_and_the_original_can_be_put_back(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = [2, *range(10, 30), 3]
    found = MaskDrawer(params(masked_fraction=0.5), tokenizer).draw("row", ids)
    assert found is not None
    restored = found.input_ids.copy()
    restored[found.positions] = found.original_ids
    assert restored.tolist() == ids
    assert (np.diff(found.positions) > 0).all()


def test_a_short_row_has_one_masked_token_and_one_of_special_tokens_none(tokenizer: PreTrainedTokenizerBase) -> None:
    drawer = MaskDrawer(params(), tokenizer)
    one = drawer.draw("row", [2, 7, 3])
    assert one is not None
    assert one.positions.tolist() == [1]
    assert drawer.draw("row", [2, 3]) is None


def test_a_row_s_masks_depend_on_seed_and_row_and_not_on_other_rows(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, texts: list[str]
) -> None:
    _, whole = written(tmp_path / "whole", texts, tokenizer)
    _, again = written(tmp_path / "again", texts, tokenizer)
    _, some = written(tmp_path / "some", texts[::-2], tokenizer)
    _, other = written(tmp_path / "other", texts, tokenizer, seed=4)
    for name, rows in whole.items():
        by_id = {row["content_id"]: row for row in rows}
        first, second = (tmp_path / run / f"{name}.parquet" for run in ("whole", "again"))
        assert first.read_bytes() == second.read_bytes()
        assert again[name] == rows
        assert some[name]
        assert all(row == by_id[row["content_id"]] for row in some[name]), "a row changed, or went to the other split"
    assert other != whole


def test_rows_are_truncated_and_counted(tokenizer: PreTrainedTokenizerBase, tmp_path: Path, texts: list[str]) -> None:
    card, rows = written(tmp_path, [*texts, "[SEP]"], tokenizer, max_length=6)
    assert card.num_left_out_rows == 1
    assert sorted(row["content_id"] for split in rows.values() for row in split) == sorted(map(content_id, texts))
    assert max(len(row["input_ids"]) for row in rows["train"]) == 6
    for name, split in card.splits.items():
        assert split.num_rows == len(rows[name])
        assert split.num_tokens == sum(len(row["input_ids"]) for row in rows[name])
        assert split.num_masked_tokens == sum(len(row["positions"]) for row in rows[name])


def test_masks_are_drawn_over_train_and_unlabelled_rows_and_never_over_dev_or_test(
    prepared: Path, texts: list[str]
) -> None:
    shouted = rows_in("dev")[0].upper()  # normalises to a dev text
    add_unlabelled([shouted, rows_in("train")[0], "a film of its own"])
    draw_masks()
    drawn = {row["content_id"] for split in ("train", "dev") for row in rows_of(split)}
    expected = {*rows_in("train"), *rows_in("unlabelled")} - {shouted}
    assert drawn == set(map(content_id, expected))
    assert not drawn & set(map(content_id, [*rows_in("dev"), *rows_in("test")]))


def test_the_rows_kept_are_the_first_by_content_id(prepared: Path) -> None:
    draw_masks(max_rows=12)
    drawn = [row["content_id"] for split in ("train", "dev") for row in rows_of(split)]
    everything = sorted(map(content_id, [*rows_in("train"), *rows_in("unlabelled")]))
    assert sorted(drawn) == everything[:12]


def rows_in(table: str) -> list[str]:
    return list(open_table(Path(f"data/prepared/{table}.parquet"))["text"])


def add_unlabelled(texts: list[str]) -> None:
    rows = sorted((content_id(text), text) for text in {*rows_in("unlabelled"), *texts})
    with TableWriter(Path("data/prepared/unlabelled.parquet"), UNLABELLED_ROWS) as writer:
        writer.write([{"content_id": row, "text": text} for row, text in rows])


def test_a_tokenizer_without_a_mask_token_and_tables_without_text_are_refused(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="does not have a text to mask"):
        written(tmp_path, ["[SEP]"], tokenizer)
    tokenizer.mask_token = None
    with pytest.raises(ModelError, match="no mask token"):
        MaskDrawer(params(), tokenizer)


def test_shares_above_one_together_are_refused() -> None:
    with pytest.raises(ParamsError, match="must be at most 1"):
        parse_section({"m": {**MASKS_PARAMS, "random_token_fraction": 0.3}}, "m", MlmMasksParams)
