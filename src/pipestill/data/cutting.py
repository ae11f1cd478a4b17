"""Cutting dev and test from the pool of rows, where the source has no files for them."""

import sqlite3
from typing import NamedTuple

from pipestill.data.params import SplitRules
from pipestill.data.split import MIN_LABELS, rare_below, split_of


class Cut(NamedTuple):
    """The result of cutting the pool.

    Attributes:
        splits: the splits cut from the pool: dev, test, both or none.
        rare: the number of rows of each label that was too rare to be cut.
        rare_label_rows: the limit below which all rows of a label stay in train.
    """

    splits: tuple[str, ...]
    rare: dict[str, int]
    rare_label_rows: int


def cut_pool(database: sqlite3.Connection, rules: SplitRules, roles: set[str]) -> Cut:
    """Assign each row of the pool to train, dev or test by the hash of its text.

    In a small pool this can leave a label without a train row, or a split without rows. Only then are single rows
    moved: one row of such a label to train, and one or two rows to the empty split.

    Args:
        database: the table `kept`; the split of a row of the pool is `pool`.
        rules: the fractions of dev and test, and the limit for rare labels.
        roles: the roles of the source's files; a split that is among them is not cut.

    Returns:
        The splits that were cut, and the rare labels.
    """
    counts = dict(
        database.execute("SELECT label, COUNT(*) FROM kept WHERE split = 'pool' GROUP BY label ORDER BY label")
    )
    least = rare_below(counts, rules.rare_label_rows)
    rare = {label: count for label, count in counts.items() if count < least}
    dev_fraction = 0.0 if "dev" in roles else rules.dev_fraction
    test_fraction = 0.0 if "test" in roles else rules.test_fraction

    def split(label: str, position: float) -> str:
        if label in rare:
            return "train"
        return split_of(position, dev_fraction=dev_fraction, test_fraction=test_fraction)

    database.create_function("split_of_row", 2, split, deterministic=True)
    database.execute("UPDATE kept SET split = split_of_row(label, position) WHERE split = 'pool'")
    cut = Cut(tuple(name for name in ("test", "dev") if name not in roles), rare, least)
    _give_train_every_label(database, cut)
    for name in cut.splits:
        _fill(database, name, cut)
    return cut


def rows_by_label(database: sqlite3.Connection, split: str) -> dict[str, int]:
    """Count the rows of a split, by label."""
    return dict(
        database.execute("SELECT label, COUNT(*) FROM kept WHERE split = ? GROUP BY label ORDER BY label", (split,))
    )


def _give_train_every_label(database: sqlite3.Connection, cut: Cut) -> None:
    """Move one row to train of each label without a train row: the row whose hash is nearest to train's range."""
    inside = ", ".join("?" * len(cut.splits))
    rows = database.execute(
        f"SELECT label, rowid FROM kept WHERE split IN ({inside}) AND label NOT IN "  # noqa: S608 (question marks)
        "(SELECT label FROM kept WHERE split = 'train') ORDER BY label, position DESC, id",
        cut.splits,
    )
    nearest: dict[str, int] = {}
    for label, row in rows:
        nearest.setdefault(label, row)
    database.executemany("UPDATE kept SET split = 'train' WHERE rowid = ?", [(row,) for row in nearest.values()])


def _fill(database: sqlite3.Connection, split: str, cut: Cut) -> None:
    """Move rows from train to a split with fewer than two rows: of labels new to it with more than one train row."""
    while sum((present := rows_by_label(database, split)).values()) < MIN_LABELS:
        spare = [label for label, count in rows_by_label(database, "train").items() if count > 1]
        wanted = [label for label in spare if label not in cut.rare and label not in present]
        if not wanted:
            return
        marks = ", ".join("?" * len(wanted))
        nearest = f"SELECT rowid FROM kept WHERE split = 'train' AND label IN ({marks}) ORDER BY position, id LIMIT 1"  # noqa: S608
        database.execute(f"UPDATE kept SET split = ? WHERE rowid = ({nearest})", (split, *wanted))  # noqa: S608
