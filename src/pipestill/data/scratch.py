"""A database on disk for one stage: sorting and grouping rows without holding them in memory."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_CACHE_KIB = 16 * 1024
INSERT_ROWS = 2000
"""Rows in one insert into the database."""


@contextmanager
def scratch_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an empty database; it is deleted at the end, and a killed run's leftover is deleted first.

    Args:
        path: database file, below .scratch/.

    Yields:
        The connection. Durability is off: the rows can always be read again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}", "temp_store = FILE"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        yield connection
    finally:
        connection.close()
        path.unlink(missing_ok=True)


def insert_rows(database: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Run a statement for each row, as the rows come: no more than `INSERT_ROWS` of them are held in memory."""
    batch: list[tuple[object, ...]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == INSERT_ROWS:
            database.executemany(statement, batch)
            batch = []
    database.executemany(statement, batch)
