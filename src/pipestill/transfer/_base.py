"""What an augmentation is: new texts made of train or unlabelled rows, on which the teacher's logits are the target."""

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipestill.params import Section
from pipestill.seeding import derive_seed

# Thai to Burmese, Khmer, kana and Han: scripts that put no space between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


MIN_UNITS = 2
"""A text of one word can be neither masked nor cropped."""


class Row(NamedTuple):
    """A row that may become a parent."""

    content_id: str
    text: str


class NewRow(NamedTuple):
    """A text that an augmentation made, and the content ids of the rows it is made of; none where it is a row as is."""

    text: str
    parent_ids: tuple[str, ...]


class Ingredients(NamedTuple):
    """What augmentations work on.

    Attributes:
        train: the train rows, sorted by content id; read from disk as they are asked for.
        unlabelled: the unlabelled rows, likewise.
        seed: of the transfer section.
        mask_token: the one token that stands for a hidden word to the teacher base; None where the base has none.
    """

    train: Sequence[Row]
    unlabelled: Sequence[Row]
    seed: int
    mask_token: str | None


class AugmentationSpec(Section, ABC):
    """Base of every augmentation's specification.

    An implementation draws from `stream` only, so that what a row becomes depends on the seed and on that row.
    """

    kind: str

    @abstractmethod
    def new_rows(self, given: Ingredients) -> Iterator[NewRow]:
        """Make rows, one parent at a time.

        Yields:
            New rows, duplicates and unchanged ones among them: the driver drops those.

        Raises:
            DataError: the ingredients lack something that this augmentation needs.
        """

    def stream(self, seed: int, content_id: str, copy: int) -> random.Random:
        """The random numbers of one copy of one row."""
        return random.Random(derive_seed(seed, self.kind, content_id, copy))  # noqa: S311 (no secret)


def split_units(text: str) -> tuple[list[str], str]:
    """Cut a text into what can be masked or cropped.

    Returns:
        The units and what joins them: words and a space, or characters and nothing in scripts without spaces.
    """
    words = text.split()
    if len(words) < len(text) / 12 and _UNSPACED.search(text):
        return list(text), ""
    return words, " "
