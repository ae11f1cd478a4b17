"""The answers of the data: the set of labels, and the column that holds each row's target."""

from pathlib import Path

import pyarrow as pa

from pipestill.errors import ModelError
from pipestill.records import Record, read_record, write_json
from pipestill.tasks import CLASSES, Task

TARGET = ("label_id", pa.int32())
"""Column of the target: the index of a row's label in the `LabelSet`."""
NO_LABEL = -1
"""Target of a row without a label."""


class LabelSet(Record):
    """The labels, sorted; the index of a label is its label_id."""

    labels: tuple[str, ...]

    @property
    def num_labels(self) -> int:
        """Number of labels."""
        return len(self.labels)

    @property
    def task(self) -> Task:
        """Task that these labels belong to."""
        return CLASSES


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
