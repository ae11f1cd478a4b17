"""The teacher base as fetched: what stages must know of it without loading it."""

from pathlib import Path

from pipestill.records import read_json

BASE = Path("models/base")


def read_mask_token(base: Path) -> str | None:
    """The token that stands for a hidden word, as the tokenizer's settings name it.

    Args:
        base: a model folder in the layout of `save_pretrained`.

    Returns:
        The token; None where the tokenizer has none, or the folder no settings of it.

    Raises:
        RecordError: the settings are no JSON.
    """
    settings = base / "tokenizer_config.json"
    token = read_json(settings).get("mask_token") if settings.is_file() else None
    return token["content"] if isinstance(token, dict) else token
