"""Inputs that were changed without DVC's notice, and everyday changes that must not be taken for that."""

import os
from pathlib import Path

import pytest
from repositories import Repository

from pipestill.tracking import inputs
from pipestill.tracking.inputs import InputError, refuse_changed


def flip(path: Path) -> None:
    """Change one byte, and leave size and times as they were."""
    before = path.stat()
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.pipeline
def test_a_flipped_object_of_the_cache_is_not_read(repository: Repository) -> None:
    repository.run("dvc", "repro")
    out = repository.root / "data/first.txt"
    lock = (repository.root / "dvc.lock").read_text()
    for path in (repository.root / ".dvc/cache/files").rglob("*"):
        if path.is_file() and path.read_bytes() == out.read_bytes():
            flip(path)
    out.unlink()
    (repository.root / "data/second.txt").unlink()
    for path in (repository.root / ".dvc/cache/runs").rglob("*"):
        if path.is_file():
            path.unlink()
    repository.run("dvc", "checkout", "data/first.txt")
    done = repository.run("dvc", "repro", "--force", "--single-item", "second@bert_l3", check=False)
    assert done.returncode != 0
    assert "data/first.txt is not the file that DVC names" in done.stderr
    assert "Traceback" not in done.stderr
    assert (repository.root / "dvc.lock").read_text() == lock


@pytest.mark.pipeline
def test_everyday_changes_are_no_tampering(repository: Repository) -> None:
    root = repository.root
    repository.run("dvc", "repro")
    (root / "params.yaml").write_text("first:\n  lr: 1e-5\n  other: null\nsecond:\n  lr: 0.20\n")
    (root / "source.txt").write_text("b source")
    repository.run("dvc", "repro")
    (root / "data/first.txt").write_text("edited by hand")
    repository.run("dvc", "repro", "--single-item", "second@bert_l3")
    assert (root / "data/second.txt").read_text() == "made of edited by hand"


def test_each_file_is_read_until_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"a")
    large.write_bytes(b"a" * 100)
    md5 = "0cc175b9c0f1b6a831c399e269772661"
    with pytest.raises(InputError, match=r"(?s)large is not the file.*md5 36a92cc9.*dvc pull"):
        refuse_changed({small: md5, large: md5, tmp_path / "absent": md5})
    monkeypatch.setattr(inputs, "MAX_FILE_BYTES", 99)
    refuse_changed({small: md5, large: md5})
    with pytest.raises(InputError, match="large"):
        refuse_changed({small: md5, large: md5}, whole=True)
    monkeypatch.setattr(inputs, "MAX_FILE_BYTES", 200)
    monkeypatch.setattr(inputs, "MAX_TOTAL_BYTES", 100)
    refuse_changed({small: md5, large: md5})
