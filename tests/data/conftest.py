"""Building raw folders in a few words."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from raw_sets import CSV, RULES

from pipestill.data.card import DataCard
from pipestill.data.params import PrepareParams
from pipestill.data.prepare import prepare
from pipestill.raw import RawFile, RawManifest, Reader


@pytest.fixture
def run_prepare(tmp_path: Path) -> Callable[..., tuple[DataCard, Path]]:
    """(files by role, reader, changed rules) -> (card, folder of the prepared tables)."""
    numbers = iter(range(100))

    def run(files: Mapping[str, bytes], reader: Reader = CSV, **changes: object) -> tuple[DataCard, Path]:
        root = tmp_path / str(next(numbers))
        raw_files = []
        for role, content in files.items():
            (root / "raw").mkdir(parents=True, exist_ok=True)
            (root / "raw" / role).write_bytes(content)
            raw_files.append(RawFile(path=role, sha256="", size_bytes=len(content), role=role))
        manifest = RawManifest(
            kind="local", name="small", origin="here", licence="none", files=tuple(raw_files), reader=reader
        )
        params = PrepareParams.model_validate({**RULES, **changes})
        return prepare(manifest, root / "raw", root / "prepared", params, root / "scratch"), root / "prepared"

    return run
