"""Files in the place of the folders that every stage writes to: said before the work."""

import os
from pathlib import Path

import pytest
from repositories import Repository

from pipestill.errors import RecordError
from pipestill.repro.__main__ import main as repro
from pipestill.tracking.folders import check_folders


@pytest.mark.parametrize("folder", ["runs", ".scratch"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_stage_says_so_before_its_work(folder: str, kind: str, repository: Repository) -> None:
    place = repository.root / folder
    place.write_text("") if kind == "file" else place.symlink_to("absent")
    done = repository.stage(check=False)
    assert done.returncode == 1
    assert f"{folder} is not a folder" in done.stderr
    assert "mv " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (repository.root / "data/first.txt").exists()


def test_make_repro_says_so_before_dvc_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    Path("runs").write_text("")
    assert repro(["touch", "started"], ["true"]) == 1
    assert "error: runs is not a folder" in capsys.readouterr().err
    assert not Path("started").exists()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    check_folders()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write to every folder
    with pytest.raises(RecordError, match="runs cannot be written to"):
        check_folders()
