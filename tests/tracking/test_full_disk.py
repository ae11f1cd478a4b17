"""A full disk, in the words of every library that met it, ends a stage with the disk's name and what to free."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from pipestill.errors import SourceError
from pipestill.records import write_bytes
from pipestill.tracking import full_disk as module
from pipestill.tracking import process

TEXTS: dict[str, Exception] = {
    "the system": OSError(errno.ENOSPC, "No space left on device", "models/student/model.safetensors"),
    "a quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
    "torch": RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 28992 vs 28880"),
    "torch's writer": RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    "safetensors": SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    "tokenizers": Exception("No space left on device (os error 28)"),
    "pyarrow": OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
    "sqlite": RuntimeError("database or disk is full"),
    "pip": SourceError("pip could not fetch a wheel", found="ERROR: [Errno 28] No space left on device"),
}


def ends(main: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> str:
    assert process._exit_code(main) == 1
    return capsys.readouterr().err


def raises(error: BaseException, cause: BaseException | None = None) -> Callable[[], None]:
    def main() -> None:
        raise error from cause

    return main


@pytest.mark.parametrize("library", TEXTS)
def test_every_library_s_word_for_a_full_disk_names_the_disk_and_what_to_free(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = ends(raises(TEXTS[library]), capsys)
    assert text.startswith("error: the disk of /")
    assert "GiB are free now" in text
    assert "dvc gc --workspace" in text
    assert ".scratch" in text
    assert "Traceback" not in text


def test_it_is_found_behind_the_error_of_a_library_or_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    for error in (SourceError("a.whl cannot be unpacked"), ValueError("while generating the data set")):
        assert "is full" in ends(raises(error, full), capsys)


def test_the_disk_of_the_file_in_the_error_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "models").mkdir()
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "models/absent/model.safetensors"))
    assert f"error: the disk of {tmp_path / 'models'} is full" in ends(raises(error), capsys)


def test_a_record_that_does_not_fit_ends_so_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text("old")

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    assert "is full" in ends(lambda: write_bytes(tmp_path / "a.json", b"new"), capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


@pytest.mark.parametrize("free_bytes", [0, 1 << 40])
def test_numpy_s_word_counts_where_the_disk_is_full(
    free_bytes: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = module.shutil.disk_usage(".")._replace(free=free_bytes)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    text = ends(raises(OSError("1000000 requested and 524288 written")), capsys)
    assert ("is full" in text) == (free_bytes == 0)
    assert ("Traceback" in text) == (free_bytes > 0)


def test_other_errors_end_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(raises(SourceError("no such file")), capsys) == "error: no such file\n"
    for error in (OSError(errno.ENOENT, "No such file", "a"), ValueError("no good"), KeyError(28)):
        assert "Traceback" in ends(raises(error), capsys)
