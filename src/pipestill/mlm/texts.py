"""The texts of a masked language model: unlabelled and train rows, each text once, without texts of dev or test."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipestill.data.scratch import insert_rows
from pipestill.data.split import text_key
from pipestill.data.tables import DEV, TEST, TRAIN, UNLABELLED, open_table

if TYPE_CHECKING:
    import datasets

READ_ROWS = 2000
"""Rows in memory while tables are read."""


class Text(NamedTuple):
    """A text, its content id, and its key, which is the same for all texts that normalise alike."""

    content_id: str
    key: bytes
    text: str


class Texts:
    """The texts of some prepared tables, gathered in a database so that memory does not grow with the rows.

    Args:
        prepared: folder of the prepared tables.
        database: empty database for the texts.
        scratch: folder of the memory-mapped views of the tables.
        max_rows: largest number of texts: the first by content id, a hash, so that they are a random sample that a new
            text hardly changes.

    Attributes:
        num_held_out: texts left out because they normalise to a dev or test text.
    """

    def __init__(self, prepared: Path, database: sqlite3.Connection, scratch: Path, max_rows: int) -> None:
        self._database = database
        self._max_rows = max_rows
        database.execute("CREATE TABLE held_out (key BLOB PRIMARY KEY) WITHOUT ROWID")
        database.execute("CREATE TABLE found (id TEXT PRIMARY KEY, key BLOB, text TEXT)")
        for path in (DEV, TEST):
            rows = _rows(open_table(prepared / path.name, scratch))
            insert_rows(database, "INSERT OR IGNORE INTO held_out VALUES (?)", ((row.key,) for row in rows))
        for path in (TRAIN, UNLABELLED):
            rows = _rows(open_table(prepared / path.name, scratch))
            insert_rows(database, "INSERT OR IGNORE INTO found VALUES (?, ?, ?)", rows)
        counted = "SELECT COUNT(*) FROM found WHERE key IN (SELECT key FROM held_out)"
        self.num_held_out: int = database.execute(counted).fetchone()[0]

    def __iter__(self) -> Iterator[Text]:
        """Iterate over the texts to train on, sorted by content id."""
        chosen = "SELECT id, key, text FROM found WHERE key NOT IN (SELECT key FROM held_out) ORDER BY id LIMIT ?"
        yield from map(Text._make, self._database.execute(chosen, (self._max_rows,)))


def _rows(table: "datasets.Dataset") -> Iterator[Text]:
    for batch in table.select_columns(["content_id", "text"]).iter(batch_size=READ_ROWS):
        for content_id, text in zip(batch["content_id"], batch["text"], strict=True):
            yield Text(content_id, text_key(text), text)
