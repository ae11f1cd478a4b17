"""Loading a tokenizer, and encoding texts in the same way for every stage."""

from collections.abc import Sequence
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from pipestill.errors import ModelError
from pipestill.truncation import Shortener


def load_tokenizer(folder: Path, max_length: int | None = None) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of a model folder.

    Args:
        folder: folder in the layout of `save_pretrained`.
        max_length: longest input in tokens, special tokens included; None keeps the folder's setting.

    Returns:
        The tokenizer; its `model_max_length` is the length at which `encode` truncates.

    Raises:
        ModelError: the folder has no fast tokenizer, or no padding token.
    """
    try:
        # Padded on the right like all batches here, whatever the base's setting, and saved so for clients.
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, padding_side="right"
        )
    except Exception as error:  # tokenizers raises bare Exceptions
        raise ModelError(
            f"{folder} has no tokenizer that can be loaded",
            found=error,
            expected="a tokenizer.json beside config.json",
            next_step="save the tokenizer into the folder with tokenizer.save_pretrained",
        ) from error
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        raise ModelError(
            f"the tokenizer of {folder} cannot be used",
            found=f"fast: {tokenizer.is_fast}, padding token: {tokenizer.pad_token}",
            expected="a fast tokenizer (tokenizer.json) with a padding token",
            next_step="save a fast one into the folder; a missing padding token is added by "
            "tokenizer.add_special_tokens({'pad_token': '[PAD]'}), and its embedding here",
        )
    if max_length is not None:
        tokenizer.model_max_length = max_length
    return tokenizer


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Turn texts into token ids: special tokens added, truncated at the tokenizer's `model_max_length`, not padded.

    Returns:
        One list of token ids for each text, in order.
    """
    if not texts:
        return []
    shorten = Shortener(
        tokenizer.backend_tokenizer,
        lambda text: len(tokenizer(text, verbose=False)["input_ids"]) > tokenizer.model_max_length,
        keeps_first=tokenizer.truncation_side == "right",
    )
    ids: list[list[int]] = tokenizer(
        [shorten(text) for text in texts], truncation=True, return_attention_mask=False, return_token_type_ids=False
    )["input_ids"]
    return ids


def count_tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    """Count the tokens of texts, special tokens included, none of them cut."""
    if not texts:
        return []
    rows = tokenizer(list(texts), truncation=False, return_attention_mask=False, return_token_type_ids=False)
    return [len(row) for row in rows["input_ids"]]
