"""Deduplication: choosing one row among those whose texts normalise alike."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

PRECEDENCE = ("test", "dev", "pool", "unlabelled")
"""Places from which a text's row is kept, most important first: a held-out text must not be in another place. `pool`
becomes train; dev and test are cut from it where the source has no files for them."""


class Variant(NamedTuple):
    """One distinct (place, text, label) among rows that normalise alike, and how often it occurs.

    `place` is one of `PRECEDENCE`; `label` is "" where it is `unlabelled`.
    """

    place: str
    text: str
    label: str
    num_rows: int


class Resolution(NamedTuple):
    """The outcome for one group.

    Attributes:
        kept: row that is kept, or None.
        dropped: number of dropped rows by (place, reason).
        labels: all labels of the text, over all places, if they contradict each other; else empty.
    """

    kept: Variant | None
    dropped: Counter[tuple[str, str]]
    labels: tuple[str, ...]


def resolve(group: Sequence[Variant], contradictions: Literal["drop", "majority"]) -> Resolution:
    """Choose the one row of a group to keep; the order of the group does not matter.

    Args:
        group: all variants of one normalised text, in all places.
        contradictions: `drop` the text if its labels differ, or keep the `majority` label (a tie is dropped).

    Returns:
        The row that is kept, and the reasons why the others are dropped.
    """
    place = min((variant.place for variant in group), key=PRECEDENCE.index)
    inside = [variant for variant in group if variant.place == place]
    given = {variant.label for variant in group if variant.place != "unlabelled"}
    labels = tuple(sorted(given)) if len(given) > 1 else ()
    votes: Counter[str] = Counter()
    for variant in inside:
        votes[variant.label] += variant.num_rows
    label = _winner(votes, contradictions)
    dropped: Counter[tuple[str, str]] = Counter()
    for variant in group:
        if label is None:  # every row of this text is dropped, so the reason "in another place already" does not apply
            dropped[variant.place, "contradictory_label"] += variant.num_rows
        elif variant.place != place:
            dropped[variant.place, f"in_{place}_already"] += variant.num_rows
    if label is None:
        return Resolution(None, dropped, labels)
    dropped[place, "contradictory_label"] += votes.total() - votes[label]
    same = [variant for variant in inside if variant.label == label]
    kept = min(same, key=lambda variant: (-variant.num_rows, variant.text))
    dropped[place, "exact_duplicate"] += kept.num_rows - 1
    dropped[place, "normalised_duplicate"] += votes[label] - kept.num_rows
    return Resolution(kept, +dropped, labels)


def _winner(votes: Counter[str], contradictions: str) -> str | None:
    (first, most), *others = votes.most_common(2)
    if not others:
        return first
    if contradictions == "drop" or others[0][1] == most:
        return None
    return first
