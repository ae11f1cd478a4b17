"""The steps from raw files to prepared tables: read, clean, deduplicate, split, check, write, describe.

The rows live in a database on disk meanwhile, so that memory does not grow with them, and come back sorted, so that
nothing depends on the order in which they were read.
"""

import math
import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from pipestill.data.card import Contradiction, DataCard
from pipestill.data.card_text import card_markdown
from pipestill.data.checks import check_labels
from pipestill.data.cleaning import clean_label, clean_text
from pipestill.data.counts import Counts
from pipestill.data.cutting import cut_pool
from pipestill.data.dedupe import Variant, resolve
from pipestill.data.describe import describe
from pipestill.data.findings import basics, warnings
from pipestill.data.params import PrepareParams
from pipestill.data.raw_rows import RawRow
from pipestill.data.reading import read_rows
from pipestill.data.schema import LABELLED, UNLABELLED_ROWS
from pipestill.data.scratch import insert_rows, scratch_database
from pipestill.data.split import split_position, text_key
from pipestill.data.tables import CARD, CARD_TEXT, DEV, LABELS, TEST, TRAIN, UNLABELLED, TableWriter
from pipestill.errors import DataError
from pipestill.fingerprint import content_id
from pipestill.progress import shown
from pipestill.raw import RawFile, RawManifest, Reader
from pipestill.records import write_bytes, write_json
from pipestill.tasks.targets import LabelSet, write_labels

NUM_EXAMPLES = 5
_PLACES = {"train": "pool", "all": "pool", "dev": "dev", "test": "test", "unlabelled": "unlabelled"}


def prepare(manifest: RawManifest, raw: Path, out: Path, params: PrepareParams, scratch: Path) -> DataCard:
    """Prepare a data set.

    Args:
        manifest: record of the fetched files.
        raw: folder of the fetched files.
        out: the folder for {train,dev,test,unlabelled}.parquet, labels.json, card.json and card.md.
        params: section `prepare` of params.yaml.
        scratch: a folder for the database.

    Returns:
        The data card, as written.

    Raises:
        DataError: a file cannot be read, or the rows do not make a data set; the message names the file or the fault.
    """
    counts = Counts(Counter(), Counter(), Counter(), [], [])
    with scratch_database(scratch / "rows.sqlite") as database:
        database.execute("CREATE TABLE raw (key BLOB, place TEXT, text TEXT, label TEXT)")
        database.execute("CREATE TABLE kept (split TEXT, id TEXT, text TEXT, label TEXT, position REAL)")
        for file in manifest.files:
            rows = _clean_rows(raw / file.path, file, manifest.reader, params, counts)
            insert_rows(database, "INSERT INTO raw VALUES (?, ?, ?, ?)", rows)
        num_contradictions = _drop_duplicates(database, params, counts)
        cut = cut_pool(database, params.split, {file.role for file in manifest.files})
        labels = check_labels(database, params, counts, cut)
        for path in (TRAIN, DEV, TEST, UNLABELLED):
            _write_table(database, path.stem, out / path.name, labels)
        card = describe(database, manifest, counts, cut, num_contradictions)
    write_labels(out / LABELS.name, labels)
    write_json(out / CARD.name, card)
    write_bytes(out / CARD_TEXT.name, card_markdown(card).encode())
    for line in (basics(card)[0], *warnings(card)):
        print(f"{manifest.name}: {line}", flush=True)
    return card


def _clean_rows(
    path: Path, file: RawFile, reader: Reader, params: PrepareParams, counts: Counts
) -> Iterator[tuple[bytes, str, str, str]]:
    labelled = file.role != "unlabelled"
    rows = read_rows(path, reader, labelled=labelled, repairs=counts.repaired, notes=counts.notes)
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
    """Return the label, or the reason to drop the row."""
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
            f"{path}, line {row.line}: the rating is not a number",
            found=repr(label),
            expected="a number, because label_rule is `sign`",
            next_step="correct label_column, or set label_rule to as_is"
            + ("; if line 1 is a header, set `header: true`" if row.line == 1 and not reader.header else ""),
        )
    return ("positive" if rating > 0 else "negative"), ("no_sign" if rating == 0 else None)


def _drop_duplicates(database: sqlite3.Connection, params: PrepareParams, counts: Counts) -> int:
    """Fill `kept` from `raw`, and return the number of texts with contradictory labels."""
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
    return num_contradictions


def _write_table(database: sqlite3.Connection, split: str, path: Path, labels: LabelSet) -> None:
    rows = database.execute("SELECT id, text, label FROM kept WHERE split = ? ORDER BY id", (split,))
    ids = {label: label_id for label_id, label in enumerate(labels.labels)}
    if split == "unlabelled":
        with TableWriter(path, UNLABELLED_ROWS) as writer:
            writer.write({"content_id": key, "text": text} for key, text, _ in rows)
        return
    with TableWriter(path, LABELLED) as writer:
        writer.write({"content_id": key, "text": text, "label_id": ids[label]} for key, text, label in rows)
