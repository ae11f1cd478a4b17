"""Cutting dev and test out of the pool, for the splits that the source does not bring."""

import sqlite3
from typing import NamedTuple

from pipestill.data.params import SplitRules
from pipestill.data.split import MIN_LABELS, rare_below, split_of


class Cut(NamedTuple):
    """How the pool was cut.

    Attributes:
        splits: those that were cut from it, of dev and test.
        rare: the labels too rare to be cut, with their rows.
        rare_label_rows: a label with fewer rows stayed whole in train.
    """

    splits: tuple[str, ...]
    rare: dict[str, int]
    rare_label_rows: int


def cut_pool(database: sqlite3.Connection, rules: SplitRules, roles: set[str]) -> Cut:
    """Give each row of the pool its split, by the hash of its text.

    In a small pool chance alone may leave a label without a train row, or a split without rows. Then, and only then,
    single rows move: a label's last one to train, and one or two to the empty split.

    Args:
        database: the table `kept`, whose rows of the pool have that as their split.
        rules: the fractions, and what is rare.
        roles: of the source's files: which splits it brings.

    Returns:
        How it was cut.
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
    """Move back to train, of each label that has no row there, the one that lies nearest to it."""
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
    """Move rows from train to a split that has fewer than two, of labels that it lacks and that can spare one."""
    while sum((present := rows_by_label(database, split)).values()) < MIN_LABELS:
        spare = [label for label, count in rows_by_label(database, "train").items() if count > 1]
        wanted = [label for label in spare if label not in cut.rare and label not in present]
        if not wanted:
            return
        marks = ", ".join("?" * len(wanted))
        nearest = f"SELECT rowid FROM kept WHERE split = 'train' AND label IN ({marks}) ORDER BY position, id LIMIT 1"  # noqa: S608
        database.execute(f"UPDATE kept SET split = ? WHERE rowid = ({nearest})", (split, *wanted))  # noqa: S608
