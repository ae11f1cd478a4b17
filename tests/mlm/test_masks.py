"""Masks: which tokens, how many, and always the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

import tiny
from pipestill.data.schema import UNLABELLED_ROWS
from pipestill.data.tables import TableWriter, open_table
from pipestill.errors import DataError, ModelError, ParamsError
from pipestill.fingerprint import content_id
from pipestill.mlm.masks import MaskDrawer, MlmMasksCard, MlmMasksParams, write_masks
from pipestill.params import parse_section
from pipestill.text.tokenizer import load_tokenizer

SETTINGS: dict[str, Any] = {
    "seed": 3,
    "max_length": 24,
    "masked_fraction": 0.15,
    "mask_token_fraction": 0.8,
    "random_token_fraction": 0.1,
}


@pytest.fixture
def tokenizer(base: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(base)


def params(**changes: Any) -> MlmMasksParams:
    return MlmMasksParams(**{**SETTINGS, **changes})


def table(path: Path, texts: list[str]) -> Any:
    with TableWriter(path, UNLABELLED_ROWS) as writer:
        writer.write([{"content_id": content_id(text), "text": text} for text in texts])
    return open_table(path)


def written(
    path: Path, texts: list[str], tokenizer: PreTrainedTokenizerBase, **changes: Any
) -> tuple[MlmMasksCard, Any]:
    card = write_masks(params(**changes), tokenizer, [table(path / "rows.parquet", texts)], path / "masks.parquet")
    return card, open_table(path / "masks.parquet")


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
    _, some = written(tmp_path / "some", texts[::-3], tokenizer)
    _, other = written(tmp_path / "other", texts, tokenizer, seed=4)
    by_id = {row["content_id"]: row for row in whole}
    assert (tmp_path / "whole/masks.parquet").read_bytes() == (tmp_path / "again/masks.parquet").read_bytes()
    assert list(again) == list(whole)
    assert all(row == by_id[row["content_id"]] for row in some)
    assert any(row != by_id[row["content_id"]] for row in other)


def test_rows_are_truncated_counted_and_written_table_by_table(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, texts: list[str]
) -> None:
    tables = [table(tmp_path / "a.parquet", texts[:5]), table(tmp_path / "b.parquet", [*texts[5:9], "[SEP]"])]
    card = write_masks(params(max_length=6), tokenizer, tables, tmp_path / "masks.parquet")
    rows = list(open_table(tmp_path / "masks.parquet"))
    assert [row["content_id"] for row in rows] == [content_id(text) for text in texts[:9]]
    assert max(len(row["input_ids"]) for row in rows) == 6
    assert card.num_rows == 9
    assert card.num_left_out_rows == 1
    assert card.num_tokens == sum(len(row["input_ids"]) for row in rows)
    assert card.num_masked_tokens == sum(len(row["positions"]) for row in rows)


def test_a_tokenizer_without_a_mask_token_and_tables_without_text_are_refused(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no text to mask"):
        written(tmp_path, ["[SEP]"], tokenizer)
    tokenizer.mask_token = None
    with pytest.raises(ModelError, match="no mask token"):
        MaskDrawer(params(), tokenizer)


def test_shares_above_one_together_are_refused() -> None:
    with pytest.raises(ParamsError, match="more than 1 together"):
        parse_section({"m": {**SETTINGS, "random_token_fraction": 0.3}}, "m", MlmMasksParams)
