"""Counts of rows read, repaired and dropped while the data set is prepared."""

from collections import Counter
from typing import NamedTuple

from pipestill.data.card import REASONS, Contradiction


class Counts(NamedTuple):
    """Counts over all files read so far.

    Attributes:
        read: rows read, by the role of their file.
        repaired: repairs made, by name (see `card.REPAIRS`).
        dropped: rows dropped, by place (a split or the pool) and by reason (see `card.REASONS`).
        contradictions: examples of texts with several labels.
        notes: warnings about the files, a sentence each.
    """

    read: Counter[str]
    repaired: Counter[str]
    dropped: Counter[tuple[str, str]]
    contradictions: list[Contradiction]
    notes: list[str]

    def became_of(self, *places: str) -> str:
        """Summarise for a message how many rows were read, and how many of some places were dropped, by reason."""
        reasons: Counter[str] = Counter()
        for (place, reason), count in self.dropped.items():
            if place in places:
                reasons[reason] += count
        went = "; ".join(f"{count:,} dropped: {REASONS[reason]}" for reason, count in reasons.most_common())
        return f"{self.read.total():,} rows read" + (f"; {went}" if went else "")
