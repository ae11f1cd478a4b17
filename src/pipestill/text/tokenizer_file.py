"""Pruning a tokenizer.json: the tokens that it needs, and the file rewritten for them.

The functions are pure: a definition is the content of tokenizer.json, and a new one is returned with ids renumbered in
their old order.

The tokenisation of a text stays the same if all its tokens are kept:

- WordPiece takes the longest piece at each place. The piece it took is kept, and nothing longer was added.
- BPE applies the merge of lowest rank first. The merges that made a kept token are kept with their intermediate
  tokens, in their old order, so that at each step the first merge that applies is the same one.
- Unigram takes the best path. It is still there, no better one was added, and an unknown character costs as much as
  before because the piece of the lowest score, from which that cost is computed, is kept.
"""

import copy
import math
import re
import string
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from pipestill.errors import ModelError

Definition = Mapping[str, Any]
"""The content of tokenizer.json."""

KINDS = ("WordPiece", "BPE", "Unigram", "WordLevel")
_BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")


def vocabulary_of(definition: Definition) -> dict[str, int]:
    """Return every token with its id, added tokens included.

    Raises:
        ModelError: the tokenizer is of a kind that cannot be cut down.
    """
    model = definition["model"]
    kind = model.get("type")
    if kind not in KINDS or (kind == "BPE" and (model["continuing_subword_prefix"] or model["end_of_word_suffix"])):
        raise ModelError(
            "the vocabulary of this tokenizer cannot be pruned",
            found=f"{kind}, marks inside words: {model.get('continuing_subword_prefix')!r}, "
            f"at their end: {model.get('end_of_word_suffix')!r}",
            expected=f"one of {', '.join(KINDS)}; BPE without marks",
            next_step="set the student's vocabulary to kind: full",
        )
    pieces = {piece: index for index, (piece, _) in enumerate(model["vocab"])} if kind == "Unigram" else model["vocab"]
    return {**pieces, **{token["content"]: token["id"] for token in definition["added_tokens"]}}


def needed_ids(definition: Definition, counts: np.ndarray, *, min_count: int, always: Collection[int]) -> list[int]:
    """Return the ids that a pruned tokenizer keeps, ascending.

    Kept are the special and added tokens, every token that occurs `min_count` times, the intermediate tokens of BPE for
    those, and single characters, so that an unseen word is still split instead of becoming unknown: those of printable
    ASCII and of all tokens that occur at all, at the start of a word and inside it; all bytes where pieces are made of
    bytes.

    Args:
        definition: definition of the whole tokenizer.
        counts: occurrences of each id, int64 [token].
        min_count: least occurrences of a kept token.
        always: ids that are kept in any case.

    Raises:
        ModelError: the tokenizer is of a kind that cannot be cut down.
    """
    vocabulary = vocabulary_of(definition)
    model = definition["model"]
    prefix = model.get("continuing_subword_prefix") or ""
    seen = {token for token, index in vocabulary.items() if counts[index] > 0}
    kept = {token for token in seen if counts[vocabulary[token]] >= min_count}
    if model["type"] == "BPE":
        kept |= _made_on_the_way(kept, model["merges"])
    letters = {*_alphabet(definition), *(letter for token in seen for letter in token.removeprefix(prefix))}
    kept |= letters | {f"{prefix}{letter}" for letter in letters}
    if model.get("byte_fallback"):
        kept |= {token for token in vocabulary if _BYTE_PIECE.fullmatch(token)}
    ids = {vocabulary[token] for token in kept if token in vocabulary}
    ids |= {token["id"] for token in definition["added_tokens"]} | set(always) | _other_ids(definition, vocabulary)
    return sorted(ids)


def cut_down(definition: Definition, kept: list[int]) -> dict[str, Any]:
    """Rewrite a tokenizer for some of its ids; id `kept[i]` becomes `i`.

    Args:
        definition: definition of the whole tokenizer.
        kept: ids to keep, ascending, from `needed_ids`.
    """
    new = {old: index for index, old in enumerate(kept)}
    result: dict[str, Any] = copy.deepcopy(dict(definition))
    model = result["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [piece for index, piece in enumerate(model["vocab"]) if index in new]
        model["unk_id"] = None if model["unk_id"] is None else new[model["unk_id"]]
    else:
        vocabulary = sorted(model["vocab"].items(), key=lambda item: int(item[1]))
        model["vocab"] = {token: new[index] for token, index in vocabulary if index in new}
    if model["type"] == "BPE":
        known = model["vocab"]
        merges = [(merge, _pair(merge)) for merge in model["merges"]]
        model["merges"] = [
            merge for merge, (left, right) in merges if left in known and right in known and left + right in known
        ]
    for token in result["added_tokens"]:
        token["id"] = new[token["id"]]
    _renumber_processor(result["post_processor"], lambda old: new[old])
    if result["padding"]:
        result["padding"]["pad_id"] = new[result["padding"]["pad_id"]]
    return result


def _alphabet(definition: Definition) -> set[str]:
    """Return the characters that are always kept."""
    parts = [definition[name] for name in ("normalizer", "pre_tokenizer")]
    while parts:
        part = parts.pop()
        if part and part["type"] == "ByteLevel":
            return set(ByteLevel.alphabet())
        if part:
            parts += part.get("pretokenizers", []) + part.get("normalizers", [])
    return set(string.printable) - set(string.whitespace)


def _other_ids(definition: Definition, vocabulary: Mapping[str, int]) -> set[int]:
    """List the unknown token, the post-processor's tokens, padding, and Unigram's piece of the lowest score."""
    model = definition["model"]
    ids: set[int] = set()
    if model["type"] == "Unigram":
        scores = [score for _, score in model["vocab"]]
        ids.add(int(np.argmin(scores)))
        ids |= set() if model["unk_id"] is None else {int(model["unk_id"])}
    elif model["unk_token"] in vocabulary:
        ids.add(vocabulary[model["unk_token"]])
    processor_ids: list[int] = []
    _renumber_processor(copy.deepcopy(definition["post_processor"]), _recorder(processor_ids))
    ids |= set(processor_ids)
    if definition["padding"]:
        ids.add(int(definition["padding"]["pad_id"]))
    return ids


def _renumber_processor(processor: Any, new_id: Callable[[int], int]) -> None:  # noqa: ANN401 (any JSON value)
    """Replace the ids in a post-processor, in place."""
    if not processor:
        return
    for inner in processor.get("processors", []):
        _renumber_processor(inner, new_id)
    if processor["type"] == "TemplateProcessing":
        for token in processor["special_tokens"].values():
            token["ids"] = [new_id(old) for old in token["ids"]]
    for name in ("sep", "cls"):  # BertProcessing and RobertaProcessing
        if isinstance(processor.get(name), list):
            processor[name][1] = new_id(processor[name][1])


def _recorder(seen: list[int]) -> Callable[[int], int]:
    """Make a renumbering that changes nothing and records the ids it was called with."""

    def keep(old: int) -> int:
        seen.append(old)
        return old

    return keep


def _pair(merge: str | list[str]) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _made_on_the_way(tokens: Collection[str], merges: list[str | list[str]]) -> set[str]:
    """List the intermediate tokens of BPE's merges to some tokens."""
    ranks = {_pair(merge): rank for rank, merge in enumerate(merges)}
    made: set[str] = set()
    for token in tokens:
        parts = list(token)
        while len(parts) > 1:
            rank, place = min(
                (ranks.get((parts[place], parts[place + 1]), math.inf), place) for place in range(len(parts) - 1)
            )
            if rank == math.inf:
                break
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
            made.add(parts[place])
    return made
