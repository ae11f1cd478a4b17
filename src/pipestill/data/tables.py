"""Row tables: parquet files as stage outputs, and memory-mapped Arrow copies of them under .scratch/."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipestill.errors import DataError
from pipestill.fingerprint import sha256_file

if TYPE_CHECKING:
    import datasets

PREPARED = Path("data/prepared")
TRAIN = PREPARED / "train.parquet"
DEV = PREPARED / "dev.parquet"
TEST = PREPARED / "test.parquet"
UNLABELLED = PREPARED / "unlabelled.parquet"
LABELS = PREPARED / "labels.json"
CARD = PREPARED / "card.json"
CARD_TEXT = PREPARED / "card.md"
TRANSFER = Path("data/transfer/rows.parquet")
TRANSFER_CARD = Path("data/transfer/card.json")

SCRATCH = Path(".scratch/tables")
ROWS_PER_GROUP = 8192
"""Rows of a parquet row group and of an Arrow batch: what is in memory at once."""


@dataclass(frozen=True)
class Rows:
    """A whole labelled table in memory, for dev and test.

    Attributes:
        content_ids: content id of each row.
        texts: text of each row.
        label_ids: label ids, int64 `[row]`.
    """

    content_ids: list[str]
    texts: list[str]
    label_ids: np.ndarray


def open_table(path: Path, scratch: Path = SCRATCH) -> "datasets.Dataset":
    """Open a parquet table as a memory-mapped data set.

    The Arrow view lies under `scratch`, named by the SHA-256 of the parquet file, so that it never belongs to an older
    file, and nothing is written to the home folder.

    Args:
        path: parquet file to open.
        scratch: folder of the Arrow view.

    Returns:
        The data set, in the row order of the file.

    Raises:
        DataError: the file is missing or is not a whole parquet file.
    """
    import datasets

    view = scratch / f"{sha256_file(_existing(path))}.arrow"
    if not view.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch, prefix=".view-") as folder:
            temporary = Path(folder) / view.name
            with _reading(path) as source, pa.ipc.new_stream(str(temporary), source.schema_arrow) as sink:
                for batch in source.iter_batches(batch_size=ROWS_PER_GROUP):
                    sink.write_batch(batch)
            temporary.replace(view)
    return datasets.Dataset.from_file(str(view))


def read_columns(path: Path) -> Rows:
    """Read a labelled table whole.

    Raises:
        DataError: the file is missing, or is not a parquet file with the columns of a labelled table.
    """
    with _reading(path) as source:
        table = source.read()
    missing = {"content_id", "text", "label_id"} - set(table.column_names)
    if missing:
        raise DataError(f"{path} lacks the columns {sorted(missing)}", found=table.column_names)
    return Rows(
        content_ids=table["content_id"].to_pylist(),
        texts=table["text"].to_pylist(),
        label_ids=table["label_id"].to_numpy().astype(np.int64),
    )


class TableWriter:
    """Writes a parquet table whole or not at all; the bytes depend on the rows only, not on how they were batched.

    Args:
        path: file to write.
        schema: columns of the table.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.num_rows = 0
        self._pending: list[Mapping[str, object]] = []
        self._temporary = path.with_name(f".{path.name}.part")

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._temporary, self.schema, compression="zstd")
        return self

    def write(self, batch: Sequence[Mapping[str, object]] | Iterable[Mapping[str, object]]) -> None:
        """Append rows, one mapping from column to value each."""
        for row in batch:
            self._pending.append(row)
            if len(self._pending) == ROWS_PER_GROUP:
                self._flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        if kind is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._pending:
            columns: dict[str, list[Any]] = {name: [row[name] for row in self._pending] for name in self.schema.names}
            self._writer.write_table(pa.table(columns, schema=self.schema), row_group_size=ROWS_PER_GROUP)
            self.num_rows += len(self._pending)
            self._pending = []


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"the table {path} is missing", next_step="run `dvc repro`")
    return path


@contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(_existing(path)) as source:
            yield source
    except (pa.ArrowException, OSError) as error:  # codecs raise OSError
        raise DataError(f"{path} is not a whole parquet file", found=error, next_step="run `dvc repro`") from error
