"""Building raw folders in a few words."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipestill.data.card import DataCard
from pipestill.data.params import PrepareParams
from pipestill.data.prepare import prepare
from pipestill.raw import RawFile, RawManifest, Reader

RULES: dict[str, Any] = {
    "cleaning": {"unescape_html": True, "max_chars": 2000, "over_long": "cut"},
    "split": {"seed": 0, "dev_fraction": 0.2, "test_fraction": 0.2, "rare_label_rows": 3},
    "contradictions": "drop",
    "unseen_labels": "error",
}
CSV = Reader(format="csv", text_column="text", label_column="label")


def good_rows(count: int = 60) -> list[tuple[str, str]]:
    """Distinct texts with the labels `no` and `yes` in turn."""
    return [(f"sentence number {index} of a small set", ("no", "yes")[index % 2]) for index in range(count)]


def csv_bytes(rows: list[tuple[str, str]]) -> bytes:
    return "".join(["text,label\n", *(f'"{text}","{label}"\n' for text, label in rows)]).encode()


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
