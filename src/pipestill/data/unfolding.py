"""A bound on the text that a compressed file unfolds to, and so on the time and disk space that its rows can take."""

from pathlib import Path

from pipestill.errors import DataError

MAX_TIMES = 200
"""Most bytes of rows for each byte of the file; text is rarely compressed to less than a twentieth."""
FREE_BYTES = 256 << 20
"""Bytes of rows that any file may unfold to."""
_ROW_BYTES = 16
"""Bytes counted for a row beside its values."""


class Unfolding:
    """Counter of the bytes that a file has unfolded to.

    Args:
        path: file whose rows are compressed, by gzip or as parquet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size_bytes = path.stat().st_size
        self._limit = max(FREE_BYTES, MAX_TIMES * self._size_bytes)
        self._unfolded = 0

    def add(self, num_bytes: int, rows: int = 0) -> None:
        """Count values and rows.

        Raises:
            DataError: the file has unfolded to more than its limit.
        """
        self._unfolded += num_bytes + _ROW_BYTES * rows
        if self._unfolded > self._limit:
            raise DataError(
                f"{self._path} unfolds to too much",
                found=f"more than {self._limit:,} bytes of rows in a file of {self._size_bytes:,} bytes",
                expected=f"at most {MAX_TIMES} times its size: it was damaged, or made to fill a disk",
                next_step="fetch the file again, or write its rows without compression",
            )
