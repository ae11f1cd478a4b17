"""The columns of each table, and the file of label names."""

from pathlib import Path

import pyarrow as pa

from pipestill.errors import ModelError
from pipestill.records import Record, read_record, write_json

LABELLED = pa.schema([("content_id", pa.string()), ("text", pa.string()), ("label_id", pa.int32())])
"""Columns of train, dev and test; sorted by content_id, which is unique."""
UNLABELLED_ROWS = pa.schema([("content_id", pa.string()), ("text", pa.string())])
"""Columns of texts without a label; sorted by content_id, which is unique."""
TRANSFER_ROWS = pa.schema(
    [
        ("content_id", pa.string()),
        ("text", pa.string()),
        ("label_id", pa.int32()),
        ("origin", pa.string()),
        ("parent_ids", pa.list_(pa.string())),
    ]
)
"""Columns of the transfer set; label_id is -1 for rows without a label, origin is `train`, `unlabelled` or an
augmentation's kind."""
NO_LABEL = -1


class LabelSet(Record):
    """The labels, sorted; the index of a label is its label_id."""

    labels: tuple[str, ...]

    @property
    def num_labels(self) -> int:
        """Number of labels."""
        return len(self.labels)


def read_labels(path: Path) -> LabelSet:
    """Read labels.json."""
    return read_record(path, LabelSet)


def write_labels(path: Path, labels: LabelSet) -> None:
    """Write labels.json."""
    write_json(path, labels)


def check_labels(folder: Path, found: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Refuse a model whose labels are not those of the data, in the same order.

    Args:
        folder: folder of the model.
        found: labels of the model, by label_id.
        expected: labels of the data.

    Raises:
        ModelError: they differ.
    """
    if tuple(found) != tuple(expected):
        raise ModelError(
            f"{folder} has other labels than the data, or in another order",
            found=", ".join(found[:10]),
            expected=", ".join(expected[:10]),
            next_step="run `dvc repro` to train it on the present labels",
        )
