"""A folder as the stages of task-agnostic distillation see it."""

import shutil
from pathlib import Path

import pytest

from mlm.tiny_mlm import draw_masks, teach, write_prepared


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: Path, texts: list[str]) -> Path:
    """A base without a masked language model's head, and prepared tables."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(base, "models/base")
    write_prepared(texts)
    return tmp_path


@pytest.fixture
def masked(prepared: Path) -> Path:
    """The same, and masks."""
    draw_masks()
    return prepared


@pytest.fixture(scope="session")
def taught_once(tmp_path_factory: pytest.TempPathFactory, base: Path, texts: list[str]) -> Path:
    """The same, and a teacher, made once for all tests, which must not change it."""
    folder = tmp_path_factory.mktemp("taught")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(base, "models/base")
        write_prepared(texts)
        draw_masks()
        teach()
        shutil.rmtree(".scratch")
    return folder


@pytest.fixture
def taught(taught_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for one test to change."""
    folder = tmp_path / "taught"
    shutil.copytree(taught_once, folder)
    monkeypatch.chdir(folder)
    return folder
