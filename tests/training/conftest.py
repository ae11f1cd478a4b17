"""A folder as a stage of training sees it."""

import shutil
from pathlib import Path

import pytest

import tiny
from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter
from pipestill.fingerprint import content_id


@pytest.fixture
def workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], teacher_folder: Path, base: Path
) -> Path:
    """A folder as a stage sees it: a base, a teacher, train and dev rows, the logit cache of the train rows."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(teacher_folder, "models/teacher")
    shutil.copytree(base, "models/base")
    rows = sorted((content_id(text), text, tiny.WORDS.index(text.split()[0]) % 3) for text in texts)
    for name, part in (("train", rows[:32]), ("dev", rows[32:])):
        with TableWriter(Path(f"data/prepared/{name}.parquet"), LABELLED) as writer:
            writer.write([{"content_id": i, "text": text, "label_id": label} for i, text, label in part])
    return tmp_path
