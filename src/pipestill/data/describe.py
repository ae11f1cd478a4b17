"""Describing prepared rows: the data card, made from the database and the counts of reading."""

import sqlite3
from collections import Counter, defaultdict

from pipestill.data.card import DataCard, SplitCard
from pipestill.data.counts import Counts
from pipestill.data.cutting import Cut, rows_by_label
from pipestill.data.look_alikes import look_alikes
from pipestill.raw import RawManifest


def describe(
    database: sqlite3.Connection, manifest: RawManifest, counts: Counts, cut: Cut, num_contradictions: int
) -> DataCard:
    """Make the data card.

    Args:
        database: the table `kept`, with the final split of each row.
        manifest: origin of the rows.
        counts: rows read, repaired and dropped.
        cut: outcome of cutting the pool.
        num_contradictions: texts with several labels.
    """
    dropped: dict[str, dict[str, int]] = defaultdict(dict)
    for place, reason in sorted(counts.dropped):
        dropped[place][reason] = counts.dropped[place, reason]
    splits = {
        split: SplitCard(
            num_rows=sum(rows_by_label(database, split).values()),
            num_rows_by_label={} if split == "unlabelled" else rows_by_label(database, split),
            length_chars=_lengths(database, split),
        )
        for split in ("train", "dev", "test", "unlabelled")
    }
    labels = splits["train"].num_rows_by_label
    return DataCard(
        name=manifest.name,
        kind=manifest.kind,
        origin=manifest.origin,
        licence=manifest.licence,
        num_rows_read=dict(sorted(counts.read.items())),
        num_repaired=dict(sorted((+counts.repaired).items())),
        num_dropped=dict(dropped),
        num_contradictory_texts=num_contradictions,
        contradictions=tuple(counts.contradictions),
        rare_labels=cut.rare,
        rare_label_rows=cut.rare_label_rows,
        look_alike_labels=_look_alikes(splits),
        notes=tuple(counts.notes),
        labels_without_dev_rows=tuple(label for label in labels if label not in splits["dev"].num_rows_by_label),
        labels_without_test_rows=tuple(label for label in labels if label not in splits["test"].num_rows_by_label),
        splits=splits,
    )


def _lengths(database: sqlite3.Connection, split: str) -> dict[str, float]:
    """Compute mean, percentiles and extremes of the lengths in characters; empty without rows."""
    histogram = database.execute(
        "SELECT length(text), COUNT(*) FROM kept WHERE split = ? GROUP BY 1 ORDER BY 1", (split,)
    ).fetchall()
    total = sum(count for _, count in histogram)
    if not total:
        return {}
    result = {"mean": round(sum(length * count for length, count in histogram) / total, 2)}
    for name, share in (("min", 0.0), ("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
        below = 0
        for length, count in histogram:
            below += count
            if below >= share * total:
                result[name] = float(length)
                break
    return result


def _look_alikes(splits: dict[str, SplitCard]) -> tuple[dict[str, int], ...]:
    """Find groups of labels that look alike, each label with its rows in all splits."""
    rows: Counter[str] = Counter()
    for split in splits.values():
        rows.update(split.num_rows_by_label)
    return tuple({label: rows[label] for label in group} for group in look_alikes(rows))
