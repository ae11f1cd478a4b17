"""The shipped tokenizer: a single tokenizer.json that includes truncation and padding.

Training encodes with transformers, which reads settings from tokenizer_config.json as well; an application has only the
library `tokenizers` and tokenizer.json. Both must give the same ids; a comparison finds settings that tokenizer.json
cannot hold.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from pipestill.text.tokenizer import encode

TRICKY = (
    "  D\u00e9j\u00e0 VU,\tn'est-ce pas?\n",
    "\u4f60\u597d \U0001f600 \uff21\uff22",
    "a_b@c.de http://x.yz/?q=1&r=2",
)
"""Texts with case, accents, white space, other scripts, and signs inside words, which normalisers and pre-tokenizers
change."""
SHOWN_IDS = 8
SHOWN_CHARACTERS = 60
CHARACTERS_PER_TOKEN = 16
"""Characters per token that make a text longer than any limit in tokens, for every tokenizer."""


class Difference(NamedTuple):
    """A text that two tokenizers encode differently.

    Attributes:
        text: text that was encoded.
        expected: token ids in training.
        found: token ids by the shipped tokenizer.
    """

    text: str
    expected: list[int]
    found: list[int]


def shorten(text: str) -> str:
    """Quote the first characters of a text for a message."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}...")


def shorten_ids(ids: Sequence[int]) -> str:
    """Write the number of token ids and the first of them for a message."""
    return f"{len(ids)} tokens {[*ids[:SHOWN_IDS]]}{'...' if len(ids) > SHOWN_IDS else ''}"


def standalone(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Copy a fast tokenizer and add truncation and padding, so that it needs no other settings."""
    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.enable_truncation(int(tokenizer.model_max_length), direction=tokenizer.truncation_side)
    copy.enable_padding(
        direction="right",
        pad_id=int(tokenizer.pad_token_id),
        pad_type_id=int(tokenizer.pad_token_type_id),
        pad_token=str(tokenizer.pad_token),
    )
    return copy


def encode_alone(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Turn texts into token ids as an application does, without padding."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    return [encoding.ids for encoding in copy.encode_batch(list(texts))]


def differences(tokenizer: PreTrainedTokenizerBase, shipped: Tokenizer, texts: Sequence[str]) -> list[Difference]:
    """Compare the ids of texts in training with those of the tokenizer that ships.

    Args:
        tokenizer: tokenizer of training.
        shipped: tokenizer that ships, see `standalone`.
        texts: texts to compare; texts that reveal differences are added, one of them too long.
    """
    everything = [*texts, *_revealing(tokenizer, texts)]
    pairs = zip(everything, encode(tokenizer, everything), encode_alone(shipped, everything), strict=True)
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def _revealing(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Iterator[str]:
    """List tricky texts, one with each added token (a special one among them), and one that must be cut."""
    yield from TRICKY
    yield from (f"good {token} bad" for token in tokenizer.get_added_vocab())
    sentence = " ".join([*texts, *TRICKY])
    length = CHARACTERS_PER_TOKEN * int(tokenizer.model_max_length)
    yield (sentence * (length // len(sentence) + 1))[:length]
