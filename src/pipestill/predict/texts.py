"""Checking texts before they reach the tokenizer: a list of strings, each of whole characters."""

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from pipestill.errors import PredictError

if TYPE_CHECKING:
    from pipestill.tasks.answers import Prediction

_SURROGATE = re.compile("[\ud800-\udfff]")
_VISIBLE = re.compile(
    r"[^\s"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""A visible character. `prepare` drops texts without one by the same rule, which a test compares."""
_SHOWN_CHARS = 80
_NEXT = 'give a list of texts, such as predict(["a good film"])'


class TextError(PredictError):
    """One of several texts cannot be classified.

    Attributes:
        position: place among the texts, counted from 0.
        predictions: predictions for the texts before it.
    """

    def __init__(self, position: int, found: object, expected: str, next_step: str) -> None:
        super().__init__(
            f"the text at position {position} cannot be classified", found=found, expected=expected, next_step=next_step
        )
        self.position = position
        self.predictions: list[Prediction] = []


def is_blank(text: str) -> bool:
    """Return whether a text lacks visible characters."""
    return _VISIBLE.search(text) is None


def has_lone_surrogate(text: str) -> bool:
    """Return whether a text holds half of a surrogate pair, which cannot be encoded."""
    return _SURROGATE.search(text) is not None


def checked(texts: object) -> Iterator[str]:
    """Refuse an object that is not a collection of texts, then yield the texts one by one.

    Args:
        texts: the caller's texts: a list, a tuple, a generator, a column of a table, an array of one dimension.

    Returns:
        The texts, each checked when it is read; a TextError names the first that is not a string.

    Raises:
        PredictError: the object is not a collection of texts.
    """
    if isinstance(texts, str | bytes | bytearray | memoryview):
        raise PredictError(
            "the texts are one string" if isinstance(texts, str) else "the texts are bytes",
            found=_short(texts),
            expected="a list of texts; of a string, each character would be one",
            next_step=_NEXT,
        )
    dimensions = getattr(texts, "ndim", 1)
    if dimensions != 1 or (hasattr(texts, "columns") and not isinstance(texts, list | tuple)):
        raise PredictError(
            f"the texts are a {type(texts).__name__} of more than one column",
            expected="one column, or an array of one dimension",
            next_step='give the column that holds the text, such as predict(table["text"])',
        )
    if isinstance(texts, Mapping | AbstractSet) or not isinstance(texts, Iterable):
        raise PredictError(
            f"the texts are of type {type(texts).__name__}",
            found=_short(texts),
            expected="a list of texts, whose order the predictions keep",
            next_step=_NEXT,
        )
    return _each(texts)


def _each(texts: Iterable[Any]) -> Iterator[str]:
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TextError(
                position,
                f"{_short(text)}, of type {type(text).__name__}",
                "a string",
                "decode bytes, write numbers as text, and leave missing values out",
            )
        if has_lone_surrogate(text):
            raise TextError(
                position,
                f"{_short(text)}, which holds half of a surrogate pair",
                "a string of whole characters, which UTF-8 can write",
                'repair it: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")',
            )
        yield str(text)


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
