"""Vocabulary pruning: a tokenizer that keeps only the tokens that some texts need.

A pretrained vocabulary is made for all texts of a language, and its embedding table is most of a small student. Rows of
tokens that do not occur in training are never trained; leaving them out makes files smaller and a step of the optimiser
cheaper.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from pipestill.errors import ModelError
from pipestill.records import write_bytes, write_json
from pipestill.text.tokenizer import load_tokenizer
from pipestill.text.tokenizer_file import cut_down, needed_ids


def count_tokens(tokenizer: PreTrainedTokenizerBase, batches: Iterable[Sequence[str]]) -> Int[np.ndarray, " token"]:
    """Count the occurrences of each token in texts, without special tokens and truncation.

    Args:
        tokenizer: tokenizer of the texts.
        batches: texts in batches, of which memory holds one.

    Returns:
        Counts by id, int64 [token].
    """
    counts = np.zeros(max(tokenizer.get_vocab().values()) + 1, dtype=np.int64)
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())  # a copy, to change its settings
    backend.no_truncation()
    backend.no_padding()
    for texts in batches:
        encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
        ids = np.fromiter((index for encoding in encodings for index in encoding.ids), dtype=np.int64)
        counts += np.bincount(ids, minlength=len(counts))
    return counts


def unknown_fraction(tokenizer: PreTrainedTokenizerBase, counts: Int[np.ndarray, " token"]) -> float:
    """Compute the share of counted tokens that are the unknown token."""
    unknown = counts[tokenizer.unk_token_id] if tokenizer.unk_token_id is not None else 0
    return float(unknown / max(counts.sum(), 1))


def prune_tokenizer(
    tokenizer: PreTrainedTokenizerBase, counts: Int[np.ndarray, " token"], *, min_count: int
) -> tuple[PreTrainedTokenizerBase, list[int]]:
    """Prune a tokenizer to the tokens that some texts need; see `tokenizer_file.needed_ids`.

    Args:
        tokenizer: whole tokenizer, which stays unchanged.
        counts: occurrences of each of its ids.
        min_count: least occurrences of a kept token.

    Returns:
        The new tokenizer with the same truncation, and the old ids of its tokens: its id `i` was `ids[i]`.

    Raises:
        ModelError: the tokenizer is of a kind that cannot be cut down.
    """
    definition = json.loads(tokenizer.backend_tokenizer.to_str())
    kept = needed_ids(definition, counts, min_count=min_count, always=tokenizer.all_special_ids)
    with TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        for file in folder.iterdir():  # files of the whole vocabulary in other formats
            if file.name not in {"tokenizer.json", "tokenizer_config.json"}:
                file.unlink()
        text = json.dumps(cut_down(definition, kept), ensure_ascii=False)
        write_bytes(folder / "tokenizer.json", text.encode())
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        settings.pop("added_tokens_decoder", None)  # tokenizer.json names them with their new ids
        write_json(folder / "tokenizer_config.json", settings)
        pruned = load_tokenizer(folder, int(tokenizer.model_max_length))
    _check(tokenizer, pruned, kept)
    return pruned, kept


def _check(whole: PreTrainedTokenizerBase, pruned: PreTrainedTokenizerBase, kept: list[int]) -> None:
    """Check that the pruned tokenizer, loaded from its files, has the kept tokens under the new ids."""
    tokens = whole.convert_ids_to_tokens(kept)
    ids = pruned.convert_tokens_to_ids(tokens)
    if ids != list(range(len(kept))) or len(pruned) != len(kept):
        wrong = [token for token, found, index in zip(tokens, ids, range(len(kept)), strict=True) if found != index]
        raise ModelError(
            f"a pruned {type(whole).__name__} does not load with the ids that were written",
            found=f"{len(pruned)} tokens; at other ids: {wrong[:5]}",
            expected=f"{len(kept)} tokens",
            next_step="set the student's vocabulary to kind: full",
        )
