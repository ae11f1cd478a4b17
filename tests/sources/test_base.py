"""What is known of a teacher base without loading it."""

import json
from pathlib import Path

import pytest

from pipestill.sources.base import read_mask_token
from tiny import save_tokenizer


def test_the_mask_token_is_the_one_that_transformers_writes(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    assert read_mask_token(tmp_path) == "[MASK]"


@pytest.mark.parametrize(
    ("settings", "token"),
    [
        ({"mask_token": {"content": "<mask>", "lstrip": True}}, "<mask>"),
        ({"mask_token": None}, None),
        ({"model_max_length": 512}, None),
    ],
)
def test_a_mask_token_may_be_described_or_missing(tmp_path: Path, settings: object, token: str | None) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert read_mask_token(tmp_path) == token


def test_a_folder_without_settings_has_no_mask_token(tmp_path: Path) -> None:
    assert read_mask_token(tmp_path) is None
