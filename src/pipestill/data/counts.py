"""Counting what happens to rows on their way into the tables."""

from collections import Counter
from typing import NamedTuple

from pipestill.data.card import REASONS, Contradiction


class Counts(NamedTuple):
    """Counts so far, over all files.

    Attributes:
        read: rows by role.
        repaired: repairs by name.
        dropped: rows by (place, reason).
        contradictions: the first texts with several labels.
        notes: what people should look at, a sentence each.
    """

    read: Counter[str]
    repaired: Counter[str]
    dropped: Counter[tuple[str, str]]
    contradictions: list[Contradiction]
    notes: list[str]

    def became_of(self, *places: str) -> str:
        """Say how many rows were read and why rows of some places went, for a message."""
        reasons: Counter[str] = Counter()
        for (place, reason), count in self.dropped.items():
            if place in places:
                reasons[reason] += count
        went = "; ".join(f"{count:,} dropped: {REASONS[reason]}" for reason, count in reasons.most_common())
        return f"{self.read.total():,} rows read" + (f"; {went}" if went else "")
