"""Preparing takes no more memory for more rows: the tables and the database lie on disk."""

from pathlib import Path

import pytest
from raw_sets import RULES

from memory_use import grown_kib

pytestmark = pytest.mark.slow
PREPARE = f"""
from pipestill.data import scratch
from pipestill.data.params import PrepareParams
from pipestill.data.prepare import prepare
from pipestill.raw import RawFile, RawManifest, Reader
scratch._CACHE_KIB = 1024  # fills up in the smaller run already
root, count = Path(arguments[0]), int(arguments[1])
root.mkdir()
with (root / "all").open("w") as file:
    file.writelines(str(row % 2) + chr(9) + "some words of a row " * 8 + str(row) + chr(10) for row in range(count))
reader = Reader(format="tsv", text_column=1, label_column=0, header=False, quoted=False)
files = (RawFile(path="all", sha256="", size_bytes=0, role="all"),)
manifest = RawManifest(kind="local", name="n", origin="o", licence="l", files=files, reader=reader)
params = PrepareParams.model_validate({RULES!r})
"""
RUN = "prepare(manifest, root, root / 'out', params, root / 'scratch')"


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    few, many = (grown_kib(PREPARE, RUN, tmp_path / str(rows), rows) for rows in (50_000, 250_000))
    # The larger input is 35 MB longer. `ru_maxrss` cannot tell: a child's begins at its parent's, here all of pytest.
    assert many - few < 7_000, (few, many)
