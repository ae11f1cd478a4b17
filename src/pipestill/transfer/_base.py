"""The base of augmentations: new texts made from train or unlabelled rows, with the teacher's logits as targets."""

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipestill.params import Section
from pipestill.seeding import derive_seed

# Thai to Burmese, Khmer, kana and Han: scripts without spaces between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


MIN_UNITS = 2
"""Least words or characters of a text to be masked or cropped."""


class Row(NamedTuple):
    """A row that may become a parent."""

    content_id: str
    text: str


class NewRow(NamedTuple):
    """A text that an augmentation made, and the content ids of its parent rows; empty for an unchanged row."""

    text: str
    parent_ids: tuple[str, ...]


class TransferInputs(NamedTuple):
    """The inputs of augmentations.

    Attributes:
        train: train rows, sorted by content id; read from disk on access.
        unlabelled: unlabelled rows, read likewise.
        seed: random seed of the transfer section.
        mask_token: mask token of the teacher base, or None.
    """

    train: Sequence[Row]
    unlabelled: Sequence[Row]
    seed: int
    mask_token: str | None


class AugmentationSpec(Section, ABC):
    """Base of every augmentation's specification.

    An implementation draws from `stream` only, so that a row's copies depend on the seed and on that row.
    """

    kind: str

    @abstractmethod
    def new_rows(self, given: TransferInputs) -> Iterator[NewRow]:
        """Make rows, one parent at a time.

        Yields:
            New rows, including duplicates and unchanged ones, which the driver drops.

        Raises:
            DataError: the inputs lack rows or a token that this augmentation needs.
        """

    def stream(self, seed: int, content_id: str, copy: int) -> random.Random:
        """Return the random numbers of one copy of one row."""
        return random.Random(derive_seed(seed, self.kind, content_id, copy))  # noqa: S311 (no secret)


def split_units(text: str) -> tuple[list[str], str]:
    """Cut a text into units that can be masked or cropped.

    Returns:
        The units and their joiner: words and a space, or characters and an empty string in scripts without spaces.
    """
    words = text.split()
    if len(words) < len(text) / 12 and _UNSPACED.search(text):
        return list(text), ""
    return words, " "
