"""Building the transfer set: train rows and augmented rows, each text once, without texts of dev and test.

Dev and test are read for one purpose: a row whose text normalises to one of theirs is dropped.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from pipestill.data.schema import TRANSFER_ROWS
from pipestill.data.scratch import insert_rows, scratch_database
from pipestill.data.split import text_key
from pipestill.data.tables import DEV, TEST, TRAIN, TRANSFER, TRANSFER_CARD, UNLABELLED, TableWriter, open_table
from pipestill.fingerprint import content_id
from pipestill.progress import shown
from pipestill.records import Record, write_json
from pipestill.tasks.targets import NO_LABEL
from pipestill.transfer._base import Row, TransferInputs
from pipestill.transfer.params import TransferParams

if TYPE_CHECKING:
    import datasets

_READ_ROWS = 2000
_SEPARATOR = " "


class OriginCard(Record):
    """Rows of one origin: made, dropped by reason, kept."""

    num_made: int
    num_held_out: int
    num_duplicates: int
    num_rows: int


class TransferCard(Record):
    """Counts of the transfer set by origin; `held_out` rows equal a dev or test text, `duplicates` a kept row."""

    num_rows: int
    origins: dict[str, OriginCard]


class TableRows(Sequence[Row]):
    """The rows of a table on disk, in order, read on access."""

    def __init__(self, table: "datasets.Dataset") -> None:
        self._table = table
        self._ids = table.data.column("content_id")
        self._texts = table.data.column("text")

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """Return one row; slices are not needed."""
        if isinstance(index, slice):
            raise TypeError("rows of a table are read one by one")
        return Row(self._ids[index].as_py(), self._texts[index].as_py())

    def __iter__(self) -> Iterator[Row]:
        for batch in self._table.select_columns(["content_id", "text"]).iter(batch_size=_READ_ROWS):
            yield from map(Row, batch["content_id"], batch["text"])


def build_transfer(
    prepared: Path, out: Path, params: TransferParams, scratch: Path, *, mask_token: str | None
) -> TransferCard:
    """Write the transfer set and its card.

    Args:
        prepared: folder of the prepared tables.
        out: folder for rows.parquet and card.json.
        params: settings of the augmentations.
        scratch: folder for the database and the memory-mapped views.
        mask_token: mask token of the teacher base, or None.

    Returns:
        The card, as written.

    Raises:
        DataError: a prepared table is missing, or an augmentation lacks rows or a mask token.
    """
    train = open_table(prepared / TRAIN.name, scratch / "tables")
    unlabelled = TableRows(open_table(prepared / UNLABELLED.name, scratch / "tables"))
    given = TransferInputs(TableRows(train), unlabelled, params.seed, mask_token)
    with scratch_database(scratch / "transfer.sqlite") as database:
        database.execute("CREATE TABLE held_out (key BLOB PRIMARY KEY) WITHOUT ROWID")
        database.execute(
            "CREATE TABLE made "
            "(id TEXT, key BLOB, text TEXT, label_id INTEGER, origin TEXT, rank INTEGER, parents TEXT)"
        )
        for path in (DEV, TEST):
            rows = TableRows(open_table(prepared / path.name, scratch / "tables"))
            insert_rows(database, "INSERT OR IGNORE INTO held_out VALUES (?)", ((text_key(row.text),) for row in rows))
        _insert_made(database, "train", 0, ((text, label_id, ()) for text, label_id in _rows_of(train)))
        for rank, augmentation in enumerate(params.augmentations, start=2):
            made = augmentation.new_rows(given)
            # Unchanged rows come before made ones, so that of two equal texts the made one is the duplicate.
            precedence = 1 if augmentation.kind == "unlabelled" else rank
            rows_made = ((row.text, NO_LABEL, row.parent_ids) for row in made)
            _insert_made(database, augmentation.kind, precedence, rows_made)
        card = _write(database, out / TRANSFER.name, ["train", *(each.kind for each in params.augmentations)])
    write_json(out / TRANSFER_CARD.name, card)
    return card


def _rows_of(table: "datasets.Dataset") -> Iterator[tuple[str, int]]:
    for batch in table.iter(batch_size=_READ_ROWS):
        yield from zip(batch["text"], batch["label_id"], strict=True)


def _insert_made(
    database: sqlite3.Connection, origin: str, precedence: int, rows: Iterable[tuple[str, int, tuple[str, ...]]]
) -> None:
    insert_rows(
        database,
        "INSERT INTO made VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (content_id(text), text_key(text), text, label_id, origin, precedence, _SEPARATOR.join(parents))
            for text, label_id, parents in shown(rows, origin, "rows")
        ),
    )


def _write(database: sqlite3.Connection, path: Path, origins: Sequence[str]) -> TransferCard:
    """Write each text once, from the origin that comes first, sorted by content id; count the rest."""
    held_out = "key IN (SELECT key FROM held_out)"
    # SQLite takes the other columns from the row that holds the minimum.
    rows = database.execute(
        "SELECT id, text, label_id, origin, parents, MIN(printf('%03d%s', rank, parents)) FROM made "  # noqa: S608
        f"WHERE NOT {held_out} GROUP BY id ORDER BY id"
    )
    num_kept = Counter[str]()
    with TableWriter(path, TRANSFER_ROWS) as writer:
        for key, text, label_id, origin, parents, _ in rows:
            num_kept[origin] += 1
            row = {"content_id": key, "text": text, "label_id": label_id, "origin": origin}
            writer.write([{**row, "parent_ids": parents.split(_SEPARATOR) if parents else []}])
    counted = database.execute(f"SELECT origin, COUNT(*), SUM({held_out}) FROM made GROUP BY origin")  # noqa: S608
    num_made = {origin: (made, held) for origin, made, held in counted}
    cards = {}
    for origin in origins:
        made, held = num_made.get(origin, (0, 0))
        kept = num_kept[origin]
        cards[origin] = OriginCard(num_made=made, num_held_out=held, num_duplicates=made - held - kept, num_rows=kept)
    return TransferCard(num_rows=num_kept.total(), origins=cards)
