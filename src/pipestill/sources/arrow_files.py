"""Validation of Arrow files of others, before they are mapped into memory.

A mapped file is trusted: a length or an offset that points behind its end would end the process.
"""

from pathlib import Path

import pyarrow as pa

from pipestill.errors import SourceError


def check_arrow(path: Path, name: str) -> None:
    """Read an Arrow file by the batch, without mapping it, and check every length, offset and text in it.

    Args:
        path: file in Arrow's format for streams or for files.
        name: name of the file in messages.

    Raises:
        SourceError: the file is damaged, cut short, or no Arrow file.
    """
    number = 0
    try:
        with pa.OSFile(str(path)) as file:
            for batch in _batches(file):
                batch.validate(full=True)
                number += 1
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise SourceError(
            f"{name} is not a whole Arrow file",
            found=f"after batch {number}: {error}",
            expected="a file as the library `datasets` writes it",
            next_step="delete .scratch/hub and fetch again, or choose another data set",
        ) from error


def _batches(file: pa.NativeFile) -> "pa.RecordBatchReader":
    try:
        return pa.ipc.open_stream(file)
    except pa.ArrowInvalid:  # the other of Arrow's two formats
        file.seek(0)
        opened = pa.ipc.open_file(file)
        batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
        return pa.RecordBatchReader.from_batches(opened.schema, batches)
