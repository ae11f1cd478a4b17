"""Check that the rows make a usable data set: two labels or more, rows in each split, every label in train."""

import sqlite3
from collections import Counter

from pipestill.data.counts import Counts
from pipestill.data.cutting import Cut, rows_by_label
from pipestill.data.look_alikes import look_alikes, visible
from pipestill.data.params import PrepareParams
from pipestill.data.split import MIN_LABELS
from pipestill.errors import DataError
from pipestill.tasks.targets import LabelSet

_SWAPPED = (
    "swap text_column and label_column under `fetch.dataset` in params.yaml: the texts repeat and the labels do not"
)
_SHOWN = 20


def check_labels(database: sqlite3.Connection, params: PrepareParams, counts: Counts, cut: Cut) -> LabelSet:
    """Check the rows that are kept; if `unseen_labels` is `drop`, drop dev and test rows of labels without train rows.

    Args:
        database: the tables `raw` (all rows read and cleaned) and `kept` (the rows of the data set).
        params: the section `prepare`.
        counts: counts of rows read and dropped; rows dropped here are added.
        cut: the splits that were cut from the pool, and the rule for rare labels.

    Returns:
        The labels of the train rows.

    Raises:
        DataError: train has fewer than two labels, a split has no rows, or one has a label that train lacks.
    """
    labels = tuple(rows_by_label(database, "train"))
    if len(labels) < MIN_LABELS:
        raise DataError(
            f"the train rows have {len(labels)} label(s)",
            found=f"{list(labels)} ({counts.became_of('pool')})",
            expected="two labels or more",
            next_step=_SWAPPED
            if _look_swapped(database)
            else "check text_column, label_column and label_rule under `fetch.dataset` in params.yaml",
        )
    for split in ("dev", "test"):
        rows = rows_by_label(database, split)
        unseen = {label: count for label, count in rows.items() if label not in labels}
        if unseen and params.unseen_labels == "error":
            raise _unseen(split, unseen, labels)
        for label, count in unseen.items():
            database.execute("DELETE FROM kept WHERE split = ? AND label = ?", (split, label))
            counts.dropped[split, "unseen_label"] += count
        if sum(rows.values()) == sum(unseen.values()):
            raise _no_rows(database, split, counts, cut)
    return LabelSet(labels=labels)


def _unseen(split: str, unseen: dict[str, int], labels: tuple[str, ...]) -> DataError:
    alike = [group for group in look_alikes({*unseen, *labels}) if set(group) & set(unseen)]
    hint = f" ({', '.join(visible(label) for label in alike[0])} look alike)" if alike else ""
    return DataError(
        f"{split} has labels that no train row has",
        found=f"{dict(Counter(unseen).most_common(_SHOWN))}{hint}",
        expected=f"only labels of train: {', '.join(labels[:_SHOWN])}",
        next_step="correct the labels, bring train rows that have them, or set prepare.unseen_labels: drop",
    )


def _no_rows(database: sqlite3.Connection, split: str, counts: Counts, cut: Cut) -> DataError:
    train = rows_by_label(database, "train")
    what = f"no rows are left for {split}"
    if split not in cut.splits:
        return DataError(
            what,
            found=counts.became_of(split),
            expected="at least one row in the file of this split",
            next_step=f"correct the {split} file, or leave it out of fetch.dataset: {split} is then cut from train",
        )
    if _look_swapped(database):
        step = _SWAPPED
    else:
        step = f"bring more rows of a label, or a {split} file of your own (fetch.dataset.files)"
    return DataError(
        what,
        found=f"{sum(train.values()):,} rows of {len(train):,} labels, of which none can spare one "
        f"({counts.became_of('pool')})",
        expected=f"labels of {max(2, cut.rare_label_rows)} rows and more: {split} is cut from them, and each keeps a "
        "train row",
        next_step=step,
    )


def _look_swapped(database: sqlite3.Connection) -> bool:
    """Return whether the columns look swapped: over all rows, texts repeat and labels are at least twice as many."""
    texts, labels, rows = database.execute(
        "SELECT COUNT(DISTINCT text), COUNT(DISTINCT label), COUNT(*) FROM raw WHERE place != 'unlabelled'"
    ).fetchone()
    return bool(rows and 2 * texts <= rows and 2 * texts <= labels)
