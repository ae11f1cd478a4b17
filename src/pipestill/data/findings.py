"""The most important findings about a data set: possible faults first, then its size and labels."""

from collections import Counter
from collections.abc import Mapping

from pipestill.data.card import REASONS, DataCard
from pipestill.data.look_alikes import visible
from pipestill.tasks import CLASSES

_MANY_DROPPED = 0.05
_UNEVEN = 10
_MANY_CUT = 0.01
_SHOWN = 5


def warnings(card: DataCard) -> list[str]:
    """List possible faults, a sentence each, the most important first."""
    found = []
    if card.look_alike_labels:
        groups = "; ".join(spelled(group) for group in card.look_alike_labels[:_SHOWN])
        more = len(card.look_alike_labels) - _SHOWN
        found.append(f"Labels look alike and are labels of their own: {groups}{f'; and {more} more' * (more > 0)}")
    found += card.notes
    found += _few_rows(card)
    found += _dropped(card)
    if card.num_contradictory_texts:
        found.append(f"{card.num_contradictory_texts:,} text(s) have several labels; examples stand below")
    found += _uneven(card)
    if card.num_repaired.get("cut_over_long", 0) > _MANY_CUT * sum(card.num_rows_read.values()):
        found.append(f"{card.num_repaired['cut_over_long']:,} texts were cut at prepare.cleaning.max_chars")
    return found


def basics(card: DataCard) -> list[str]:
    """List basic figures, a sentence each: rows, the most frequent label, lengths."""
    rows = {name: card.splits[name].num_rows for name in ("train", "dev", "test")}
    labels = card.splits["train"].num_rows_by_label
    largest = max(labels, key=lambda label: labels[label])
    length = card.splits["train"].length_chars
    read = sum(count for role, count in card.num_rows_read.items() if role != "unlabelled")
    size = (
        f"{rows['train']:,} train, {rows['dev']:,} dev and {rows['test']:,} test rows of {len(labels):,} labels, from "
        f"{read:,} rows read"
    )
    share = (
        f"The most frequent label, {visible(largest)}, has {labels[largest] / rows['train']:.1%} of the train rows: "
        "a model that always predicts it is as often right"
    )
    lengths = (
        f"Half of the train texts have up to {length['p50']:,.0f} characters, 95% up to {length['p95']:,.0f}, the "
        f"longest {length['max']:,.0f}"
    )
    return [size, share, lengths]


def spelled(group: Mapping[str, int]) -> str:
    """Spell labels that look alike, with their rows, so that the difference can be seen."""
    return " and ".join(f"{visible(label)} ({count:,} rows)" for label, count in group.items())


def _few_rows(card: DataCard) -> list[str]:
    labels = card.splits["train"].num_rows_by_label
    found = []
    for split, missing in (("test", card.labels_without_test_rows), ("dev", card.labels_without_dev_rows)):
        if missing:
            named = ", ".join(map(visible, missing[:_SHOWN])) + ", ..." * (len(missing) > _SHOWN)
            found.append(f"{len(missing):,} of {len(labels):,} labels have no {split} row: {named}")
    return found


def _dropped(card: DataCard) -> list[str]:
    reasons: Counter[str] = Counter()
    for place, counts in card.num_dropped.items():
        if place != "unlabelled":
            reasons.update(counts)
    read = sum(count for role, count in card.num_rows_read.items() if role != "unlabelled")
    if reasons.total() < _MANY_DROPPED * read:
        return []
    why = "; ".join(f"{count:,}: {REASONS[reason]}" for reason, count in reasons.most_common(2))
    return [f"{reasons.total():,} of {read:,} labelled rows ({reasons.total() / read:.0%}) were dropped ({why})"]


def _uneven(card: DataCard) -> list[str]:
    labels = card.splits["train"].num_rows_by_label
    largest, smallest = (choose(labels, key=lambda label: labels[label]) for choose in (max, min))
    if labels[largest] < _UNEVEN * labels[smallest]:
        return []
    primary, even = CLASSES.headline
    most, least = (f"{visible(label)} has {labels[label]:,}" for label in (largest, smallest))
    return [f"Labels are uneven: {most} train rows, {least}; prefer {even.title} to {primary.title} here"]
