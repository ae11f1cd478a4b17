"""Building a transfer set takes no more memory for more rows: the tables and the database lie on disk."""

from pathlib import Path

import pytest

from memory_use import grown_kib
from transfer.prepared_sets import sentences, write_prepared

pytestmark = pytest.mark.slow
PREPARE = """
from pipestill.data import scratch
from pipestill.data.tables import open_table
from pipestill.transfer.build import build_transfer
from pipestill.transfer.params import TransferParams
scratch._CACHE_KIB = 1024  # fills up in the smaller run already
augmentations = [{"kind": "mix_rows", "copies": 1}, {"kind": "unlabelled", "fraction": 1.0}]
params = TransferParams.model_validate({"seed": 0, "augmentations": augmentations})
folder = Path(arguments[0])
(folder / "out").mkdir()
open_table(folder / "dev.parquet", folder / "scratch" / "tables")  # imports what reads tables
"""
RUN = "build_transfer(folder, folder / 'out', params, folder / 'scratch', mask_token=None)"


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    grown = []
    for count in (6_000, 36_000):
        texts = {"train": sentences("t", count), "unlabelled": sentences("u", count)}
        folder = write_prepared(tmp_path / str(count), **texts, dev=["one row"], test=["another row"])
        grown.append(grown_kib(PREPARE, RUN, folder))
    # The database of the larger run is 30 MB larger.
    assert grown[1] - grown[0] < 12_000, grown
