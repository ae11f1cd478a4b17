"""mix_rows: the first half of one train row and the second half of another.

Source: the idea of mixing two inputs is of Zhang et al. 2018, "mixup", arXiv 1710.09412; mixing the words themselves
rather than numbers follows Guo et al. 2020, arXiv 2011.09039 (sequence-level mixing). The mix has no label.

The partner is the first row whose content id is not below a random one: an added row can change the partners of only
the few rows that now draw it.
"""

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from pipestill.transfer._base import MIN_UNITS, AugmentationSpec, NewRow, Row, TransferInputs, split_units

_ID_BITS = 128


def mix_rows(first: str, second: str) -> str | None:
    """Join the first half of one text to the second half of another.

    Returns:
        The mix; None where a text has fewer than two words.
    """
    (head, joiner), (tail, tail_joiner) = split_units(first), split_units(second)
    if min(len(head), len(tail)) < MIN_UNITS:
        return None
    left = joiner.join(head[: (len(head) + 1) // 2])
    right = tail_joiner.join(tail[len(tail) // 2 :])
    return f"{left} {right}" if joiner or tail_joiner else left + right


def pick_partner(rows: Sequence[Row], own_id: str, numbers: random.Random) -> Row | None:
    """Draw another row by a random content id, in the sorted table; None in a table of one row."""
    if len(rows) == 1:
        return None
    wanted = f"{numbers.getrandbits(_ID_BITS):032x}"
    index = bisect_left(rows, wanted, key=lambda row: row.content_id) % len(rows)
    partner = rows[index]
    return partner if partner.content_id != own_id else rows[(index + 1) % len(rows)]


class MixRows(AugmentationSpec):
    """`copies` mixes of each train row."""

    kind: Literal["mix_rows"]
    copies: Annotated[int, Field(ge=1)]

    def new_rows(self, given: TransferInputs) -> Iterator[NewRow]:
        """Mix each train row with another; see `AugmentationSpec.new_rows`."""
        for row in given.train:
            for copy in range(self.copies):
                partner = pick_partner(given.train, row.content_id, self.stream(given.seed, row.content_id, copy))
                text = None if partner is None else mix_rows(row.text, partner.text)
                if partner is not None and text is not None:
                    yield NewRow(text, (row.content_id, partner.content_id))
