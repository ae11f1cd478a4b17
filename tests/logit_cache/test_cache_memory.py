"""Filling a logit cache takes no more memory for more rows: what is in memory is one shard."""

from pathlib import Path

import pytest

from memory_use import grown_kib

pytestmark = pytest.mark.slow
PREPARE = """
import numpy as np
from pipestill.logit_cache import identify, write_logit_cache
SHARD_ROWS = 2000
folder, num_rows = Path(arguments[0]), int(arguments[1])
(folder / "teacher").mkdir(parents=True)
(folder / "teacher" / "config.json").write_text("{}")
(folder / "teacher" / "model.safetensors").write_bytes(b"")
labels = tuple(str(label) for label in range(77))

def ids():
    return (f"{row:032x}" for row in range(num_rows))

def shards():
    for start in range(0, num_rows, SHARD_ROWS):
        rows = [f"{row:032x}" for row in range(start, start + SHARD_ROWS)]
        yield rows, rows

def fill():
    identity = identify(
        folder / "teacher", max_length=8, precision="float32", storage_dtype="float32", labels=labels, content_ids=ids()
    )
    write_logit_cache(
        out=folder / "cache", scratch=folder / "scratch", identity=identity, shards=shards(),
        forward=lambda texts: np.zeros((len(texts), len(labels)), dtype=np.float32), on_shard=lambda rows: None,
    )
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    few, many = (grown_kib(PREPARE, "fill()", tmp_path / str(rows), rows) for rows in (20_000, 200_000))
    # The larger cache is 55 MB larger.
    assert many - few < 8_000, (few, many)
