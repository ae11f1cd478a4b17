"""From raw files to the prepared tables: read, clean, free of duplicates, split, check, write, describe.

The rows live in a database on disk meanwhile, so that memory does not grow with them, and come back sorted, so that
nothing depends on the order in which they were read.
"""

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pipestill.data.card import Contradiction, DataCard, SplitCard, card_markdown
from pipestill.data.cleaning import clean_label, clean_text
from pipestill.data.dedupe import Variant, resolve
from pipestill.data.params import PrepareParams, SplitRules
from pipestill.data.reading import RawRow, read_rows
from pipestill.data.schema import LABELLED, UNLABELLED_ROWS, LabelSet, write_labels
from pipestill.data.scratch import insert_rows, scratch_database
from pipestill.data.split import split_of, split_position, text_key
from pipestill.data.tables import CARD, CARD_TEXT, DEV, LABELS, TEST, TRAIN, UNLABELLED, TableWriter
from pipestill.errors import DataError
from pipestill.fingerprint import content_id
from pipestill.progress import shown
from pipestill.raw import RawFile, RawManifest, Reader
from pipestill.records import write_bytes, write_json

NUM_EXAMPLES = 5
MIN_LABELS = 2
_PLACES = {"train": "pool", "all": "pool", "dev": "dev", "test": "test", "unlabelled": "unlabelled"}


class _Counts(NamedTuple):
    """What happened to the rows so far; `dropped` by (place, reason)."""

    read: Counter[str]
    repaired: Counter[str]
    dropped: Counter[tuple[str, str]]
    contradictions: list[Contradiction]


def prepare(manifest: RawManifest, raw: Path, out: Path, params: PrepareParams, scratch: Path) -> DataCard:
    """Prepare a data set.

    Args:
        manifest: what fetch fetched.
        raw: the folder of its files.
        out: the folder for {train,dev,test,unlabelled}.parquet, labels.json, card.json and card.md.
        params: the rules.
        scratch: a folder for the database.

    Returns:
        The data card, as written.

    Raises:
        DataError: a file cannot be read, or the rows make no data set; the message says which and why.
    """
    counts = _Counts(Counter(), Counter(), Counter(), [])
    with scratch_database(scratch / "rows.sqlite") as database:
        database.execute("CREATE TABLE raw (key BLOB, place TEXT, text TEXT, label TEXT)")
        database.execute("CREATE TABLE kept (split TEXT, id TEXT, text TEXT, label TEXT, position REAL)")
        for file in manifest.files:
            rows = _clean_rows(raw / file.path, file, manifest.reader, params, counts)
            insert_rows(database, "INSERT INTO raw VALUES (?, ?, ?, ?)", rows)
        num_contradictions = _drop_duplicates(database, params, counts)
        rare = _cut_pool(database, params.split, {file.role for file in manifest.files})
        labels = _check_labels(database, params, counts)
        for path in (TRAIN, DEV, TEST, UNLABELLED):
            _write_table(database, path.stem, out / path.name, labels)
        card = _card(database, manifest, counts, rare, num_contradictions)
    write_labels(out / LABELS.name, labels)
    write_json(out / CARD.name, card)
    write_bytes(out / CARD_TEXT.name, card_markdown(card).encode())
    return card


def _clean_rows(
    path: Path, file: RawFile, reader: Reader, params: PrepareParams, counts: _Counts
) -> Iterator[tuple[bytes, str, str, str]]:
    labelled = file.role != "unlabelled"
    rows = read_rows(path, reader, labelled=labelled, repairs=counts.repaired)
    for row in shown(rows, path.name, "rows"):
        counts.read[file.role] += 1
        label, reason = _label_of(path, row, reader) if labelled else ("", None)
        if reason is None:
            cleaned = clean_text(row.text or "", params.cleaning)
            counts.repaired.update(cleaned.repairs)
            counts.repaired["label"] += label != (row.label or "") and labelled and reader.label_rule == "as_is"
            if cleaned.text is not None:
                yield text_key(cleaned.text), _PLACES[file.role], cleaned.text, label
                continue
            reason = cleaned.reason or "blank_text"
        counts.dropped[_PLACES[file.role], reason] += 1


def _label_of(path: Path, row: RawRow, reader: Reader) -> tuple[str, str | None]:
    """(label, reason why the row goes)."""
    label = clean_label(row.label or "")
    if not label:
        return "", "blank_label"
    if reader.label_rule == "as_is":
        return label, None
    try:
        rating = float(label)
    except ValueError:
        rating = math.nan
    if math.isnan(rating):
        raise DataError(
            f"{path}, line {row.line}: the rating is no number",
            found=repr(label),
            expected="a number, because label_rule is `sign`",
            next_step="correct label_column, or set label_rule to as_is",
        )
    return ("positive" if rating > 0 else "negative"), ("no_sign" if rating == 0 else None)


def _drop_duplicates(database: sqlite3.Connection, params: PrepareParams, counts: _Counts) -> int:
    """Fill `kept` from `raw`; returns the number of texts with contradictory labels."""
    num_contradictions = 0
    groups = database.execute(
        "SELECT key, place, text, label, COUNT(*) FROM raw GROUP BY key, place, text, label ORDER BY key"
    )

    def kept_rows() -> Iterator[tuple[object, ...]]:
        nonlocal num_contradictions
        for key, rows in groupby(groups, key=lambda row: row[0]):
            variants = [Variant(*row[1:]) for row in rows]
            resolution = resolve(variants, params.contradictions)
            counts.dropped.update(resolution.dropped)
            if resolution.labels:
                num_contradictions += 1
                if len(counts.contradictions) < NUM_EXAMPLES:
                    text = min(variant.text for variant in variants)[:200]
                    counts.contradictions.append(Contradiction(text=text, labels=resolution.labels))
            if resolution.kept is not None:
                place, text, label, _ = resolution.kept
                yield place, content_id(text), text, label, split_position(key, params.split.seed)

    insert_rows(database, "INSERT INTO kept VALUES (?, ?, ?, ?, ?)", kept_rows())
    database.execute("DROP TABLE raw")
    return num_contradictions


def _cut_pool(database: sqlite3.Connection, rules: SplitRules, roles: set[str]) -> dict[str, int]:
    """Give each row of the pool its split; returns the labels too rare to be cut, with their rows."""
    counted = database.execute("SELECT label, COUNT(*) FROM kept WHERE split = 'pool' GROUP BY label ORDER BY label")
    rare = {label: count for label, count in counted if count < rules.rare_label_rows}
    dev_fraction = 0.0 if "dev" in roles else rules.dev_fraction
    test_fraction = 0.0 if "test" in roles else rules.test_fraction

    def split(label: str, position: float) -> str:
        if label in rare:
            return "train"
        return split_of(position, dev_fraction=dev_fraction, test_fraction=test_fraction)

    database.create_function("split_of_row", 2, split, deterministic=True)
    database.execute("UPDATE kept SET split = split_of_row(label, position) WHERE split = 'pool'")
    return rare


def _check_labels(database: sqlite3.Connection, params: PrepareParams, counts: _Counts) -> LabelSet:
    labels = tuple(sorted(_rows_by_label(database, "train")))
    if len(labels) < MIN_LABELS:
        raise DataError(
            f"the train rows have {len(labels)} label(s)",
            found=list(labels),
            expected="two labels or more",
            next_step="check label_column and label_rule under `fetch.dataset` in params.yaml",
        )
    for split in ("dev", "test"):
        rows = _rows_by_label(database, split)
        unseen = {label: count for label, count in rows.items() if label not in labels}
        if unseen and params.unseen_labels == "error":
            raise DataError(
                f"{split} has labels that no train row has",
                found=unseen,
                expected=f"only labels of train: {', '.join(labels[:20])}",
                next_step="correct the labels, raise prepare.split.rare_label_rows, or set prepare.unseen_labels: drop",
            )
        for label, count in unseen.items():
            database.execute("DELETE FROM kept WHERE split = ? AND label = ?", (split, label))
            counts.dropped[split, "unseen_label"] += count
        if sum(rows.values()) == sum(unseen.values()):
            raise DataError(
                f"no rows are left for {split}",
                found=f"{sum(_rows_by_label(database, 'train').values())} train rows",
                expected="at least one row",
                next_step=f"bring more rows, or a larger prepare.split.{split}_fraction",
            )
    return LabelSet(labels=labels)


def _write_table(database: sqlite3.Connection, split: str, path: Path, labels: LabelSet) -> None:
    rows = database.execute("SELECT id, text, label FROM kept WHERE split = ? ORDER BY id", (split,))
    ids = {label: label_id for label_id, label in enumerate(labels.labels)}
    if split == "unlabelled":
        with TableWriter(path, UNLABELLED_ROWS) as writer:
            writer.write({"content_id": key, "text": text} for key, text, _ in rows)
        return
    with TableWriter(path, LABELLED) as writer:
        writer.write({"content_id": key, "text": text, "label_id": ids[label]} for key, text, label in rows)


def _card(
    database: sqlite3.Connection, manifest: RawManifest, counts: _Counts, rare: dict[str, int], num_contradictions: int
) -> DataCard:
    dropped: dict[str, dict[str, int]] = defaultdict(dict)
    for place, reason in sorted(counts.dropped):
        dropped[place][reason] = counts.dropped[place, reason]
    splits = {
        split: SplitCard(
            num_rows=sum(_rows_by_label(database, split).values()),
            num_rows_by_label={} if split == "unlabelled" else _rows_by_label(database, split),
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
        rare_labels=rare,
        labels_without_dev_rows=tuple(label for label in labels if label not in splits["dev"].num_rows_by_label),
        labels_without_test_rows=tuple(label for label in labels if label not in splits["test"].num_rows_by_label),
        splits=splits,
    )


def _rows_by_label(database: sqlite3.Connection, split: str) -> dict[str, int]:
    return dict(
        database.execute("SELECT label, COUNT(*) FROM kept WHERE split = ? GROUP BY label ORDER BY label", (split,))
    )


def _lengths(database: sqlite3.Connection, split: str) -> dict[str, float]:
    """Mean, percentiles and extremes of the lengths in characters; empty without rows."""
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
