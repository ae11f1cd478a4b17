"""Facts of the fetched teacher base that stages read without loading it."""

from pathlib import Path

from pipestill.records import read_json

BASE = Path("models/base")


def read_mask_token(base: Path) -> str | None:
    """Read the mask token from the tokenizer's settings.

    Args:
        base: model folder in the layout of `save_pretrained`.

    Returns:
        The token; None if the tokenizer lacks one, or the folder lacks its settings.

    Raises:
        RecordError: the settings are not JSON.
    """
    settings = base / "tokenizer_config.json"
    token = read_json(settings).get("mask_token") if settings.is_file() else None
    return token["content"] if isinstance(token, dict) else token
