"""Shortening of long texts before they are tokenised: the tokens that truncation keeps stay the same.

A tokenizer encodes a whole text and then drops the tokens past its longest input: five million characters take seconds
and a gigabyte for the first 64 tokens. `Shortener` cuts such a text at a boundary behind those tokens.

Why no kept token changes. The text is cut before a single space between two letters or digits. Each part of the
tokenizer is one of those below, which treat the text before such a space alike whatever follows it:

- normalisers that map single characters, single graphemes or runs of marks; none joins a space between letters to
  either of them, and the two letters and the space are still there after normalisation, which is checked;
- pre-tokenizers of which one splits at each such space, so that no word reaches across;
- models encode word by word, without drawing (dropout of BPE);
- added tokens without white space, so that none reaches across.

So the tokens of the text before the cut are the first tokens of the whole text. The cut is moved until they are more
than truncation keeps: then truncation drops everything behind them.

Where a part is another one, or the text has no such space, the whole text is returned.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from tokenizers import Tokenizer

FIRST_CHARS = 8192
"""Texts up to this length are tokenised whole; it is also the first place of the cut."""
_GROWTH = 4

_LETTER = (
    "0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f\u0391-\u03a1\u03a3-\u03a9\u03b1-\u03c9\u0410-\u044f"
    "\u05d0-\u05ea\u0621-\u063a\u0641-\u064a\u0905-\u0939\uac00-\ud7a3"
)
"""Digits and letters: none begins a grapheme with the space behind it, and none is a mark of the space before it."""
_CHINESE = "\u4e00-\u9fa5"
_WORDS = rf"(?<=[{_LETTER}])(?= [{_LETTER}])"
_CHARACTERS = rf"(?<=[{_CHINESE}])(?=[{_CHINESE}])"
"""BertNormalizer puts spaces around each Chinese character."""

_LOCAL_NORMALIZERS = {
    *("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt"),
    *("Precompiled", "Prepend", "StripAccents", "Strip"),
}
_LOCAL_PRE_TOKENIZERS = {
    *("BertPreTokenizer", "ByteLevel", "Digits", "Metaspace", "Punctuation", "Whitespace", "WhitespaceSplit"),
}
_SPACE_RUNS = {"Regex": " {2,}"}


class Shortener:
    """Cuts a long text behind the tokens that truncation keeps.

    Args:
        tokenizer: tokenizer that is asked, with or without truncation.
        is_truncated: whether a text has more tokens than truncation keeps.
        keeps_first: whether truncation keeps the first tokens; nothing is cut where it keeps the last.
    """

    def __init__(self, tokenizer: Tokenizer, is_truncated: Callable[[str], bool], *, keeps_first: bool) -> None:
        self._tokenizer = tokenizer
        self._is_truncated = is_truncated
        self._keeps_first = keeps_first

    def __call__(self, text: str) -> str:
        """Return a text whose truncated tokens are those of `text`; `text` itself where no shorter one is known."""
        if len(text) <= FIRST_CHARS or not self._keeps_first or self._boundary is None:
            return text
        return next(filter(self._is_truncated, self._beginnings(text, self._boundary)), text)

    def _beginnings(self, text: str, boundary: re.Pattern[str]) -> Iterator[str]:
        """Yield ever longer beginnings of a text, each up to a boundary."""
        chars = FIRST_CHARS
        while chars < len(text):
            places = (found.start() for found in boundary.finditer(text, chars, chars * _GROWTH))
            at = next(filter(lambda place: self._stays_a_boundary(text, place), places), None)
            if at is not None:
                yield text[:at]
            chars *= _GROWTH

    def _stays_a_boundary(self, text: str, at: int) -> bool:
        """Return whether the space behind a place is still one space between two characters after normalisation."""
        normalizer = self._tokenizer.normalizer
        if text[at] != " " or normalizer is None:
            return True
        return re.search(r"\S \S", normalizer.normalize_str(text[at - 1 : at + 2])) is not None

    @cached_property
    def _boundary(self) -> re.Pattern[str] | None:
        return boundary_of(self._tokenizer)


def boundary_of(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Return a pattern of the places at which a text may be cut; None for a tokenizer that may read across each."""
    normalizers = _parts(tokenizer.normalizer, "normalizers")
    pre_tokenizers = _parts(tokenizer.pre_tokenizer, "pretokenizers")
    if not (
        all(map(_is_local, normalizers))
        and all(part["type"] in _LOCAL_PRE_TOKENIZERS for part in pre_tokenizers)
        and any(map(_splits_at_spaces, pre_tokenizers))
        and getattr(tokenizer.model, "dropout", None) is None
        and _added_tokens_are_words(tokenizer)
    ):
        return None
    (first, *others), (kind, *more) = normalizers or [{"type": ""}], [part["type"] for part in pre_tokenizers]
    if first.get("handle_chinese_chars") and kind == "BertPreTokenizer" and not others and not more:
        return re.compile(f"{_WORDS}|{_CHARACTERS}")
    return re.compile(_WORDS)


def _parts(part: Any, inner: str) -> list[dict[str, Any]]:  # noqa: ANN401 (a part of a tokenizer has no common class)
    return [] if part is None else list(_flat(json.loads(part.__getstate__()), inner))


def _flat(part: dict[str, Any], inner: str) -> Iterator[dict[str, Any]]:
    if part["type"] != "Sequence":
        yield part
    for member in part.get(inner, []):
        yield from _flat(member, inner)


def _is_local(normalizer: Mapping[str, Any]) -> bool:
    if normalizer["type"] == "Replace":
        pattern = normalizer["pattern"]
        return pattern == _SPACE_RUNS or re.fullmatch(r"[^\w\s]+", pattern.get("String", "")) is not None
    return normalizer["type"] in _LOCAL_NORMALIZERS


def _splits_at_spaces(pre_tokenizer: Mapping[str, Any]) -> bool:
    kind = pre_tokenizer["type"]
    if kind == "Metaspace":
        return pre_tokenizer["split"] is True
    if kind == "ByteLevel":
        return pre_tokenizer["use_regex"] is True
    return kind in {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}


def _added_tokens_are_words(tokenizer: Tokenizer) -> bool:
    """Return whether no added token holds white space, as written or normalised, or a Chinese character."""
    contents = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    normalised = [] if tokenizer.normalizer is None else map(tokenizer.normalizer.normalize_str, contents)
    return not re.search(rf"[\s{_CHINESE}]", "".join([*contents, *normalised]))
