"""The logits of every scored row, kept beside the record so that any two models can be compared later.

One parquet file a model: content_id, split, label_id, and for each variant one list of float32 `logits_<variant>`,
label_id by label_id. Rows lie in the order of the split's own file. Equal values give equal bytes.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipestill.errors import RecordError
from pipestill.records import write_bytes

PREFIX = "logits_"


@dataclass(frozen=True)
class Predictions:
    """The logits of one model on one split.

    Attributes:
        content_ids: content id of each row.
        label_ids: hard labels, `[batch]`.
        logits: logits by variant, float32 `[batch, label]`.
    """

    content_ids: tuple[str, ...]
    label_ids: npt.NDArray[np.int64]
    logits: dict[str, npt.NDArray[np.float32]]


def write_predictions(path: Path, splits: Mapping[str, Predictions]) -> None:
    """Write the logits of a model on one or more splits, by the name of the split."""
    variants = sorted({variant for split in splits.values() for variant in split.logits})
    columns: dict[str, pa.Array] = {
        "content_id": pa.array([content_id for split in splits.values() for content_id in split.content_ids]),
        "split": pa.array([name for name, split in splits.items() for _ in split.content_ids]),
        "label_id": pa.array(np.concatenate([split.label_ids for split in splits.values()]).astype(np.int32)),
    }
    for variant in variants:
        rows = np.concatenate([split.logits[variant] for split in splits.values()]).astype(np.float32)
        flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
        columns[PREFIX + variant] = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


def read_predictions(path: Path, split: str) -> Predictions:
    """Read the logits of a model on one split.

    Raises:
        RecordError: the file is missing or unreadable, or lacks the split.
    """
    try:
        table = pq.read_table(path, memory_map=False)
    except (OSError, pa.ArrowException) as error:
        raise RecordError(
            f"predictions {path} cannot be read", found=error, next_step="run `dvc repro` to write them again"
        ) from error
    names = np.asarray(table["split"].to_pylist())
    table = table.filter(pa.array(names == split))
    if table.num_rows == 0:
        raise RecordError(f"predictions {path} lack the split {split!r}", found=sorted(set(names.tolist())))
    return Predictions(
        content_ids=tuple(table["content_id"].to_pylist()),
        label_ids=table["label_id"].to_numpy().astype(np.int64),
        logits={
            name.removeprefix(PREFIX): table[name].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
            for name in table.column_names
            if name.startswith(PREFIX)
        },
    )


def join_logits(predictions: Predictions, variant: str, content_ids: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Fetch the logits of some rows by content id, never by position.

    Args:
        predictions: predictions of the other model.
        variant: variant of that model whose logits are read.
        content_ids: content ids of the rows, in the wanted order.

    Returns:
        Logits `[batch, label]`.

    Raises:
        RecordError: the variant or a row is missing in the predictions.
    """
    if variant not in predictions.logits:
        raise RecordError(f"predictions lack the logits {variant!r}", found=sorted(predictions.logits))
    position = {content_id: row for row, content_id in enumerate(predictions.content_ids)}
    missing = [content_id for content_id in content_ids if content_id not in position]
    if missing:
        raise RecordError(
            "the teacher's predictions are of other rows",
            found=f"{len(missing)} of {len(content_ids)} rows are missing, such as {missing[0]}",
            next_step="run `dvc repro` to score the teacher on the present rows",
        )
    return predictions.logits[variant][[position[content_id] for content_id in content_ids]]
