import time
from pathlib import Path

import pytest

from pipestill.tracking.scratch import KEPT_S, claim_scratch, collect_scratch


def test_the_scratch_folder_is_found_again_only_by_the_same_request(tmp_path: Path) -> None:
    first, lock = claim_scratch(tmp_path, "distill@bert_l3", "a" * 64)
    (first / "checkpoint").touch()
    lock.release()
    again, lock = claim_scratch(tmp_path, "distill@bert_l3", "a" * 64)
    other, _ = claim_scratch(tmp_path, "distill@bert_l3", "b" * 64)
    assert again == first
    assert other != first
    assert list(other.iterdir()) == []


def test_two_processes_with_the_same_request_do_not_share_a_scratch_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipestill.tracking.scratch.SCRATCH_TIMEOUT_S", 0.1)
    first, _lock = claim_scratch(tmp_path, "distill@bert_l3", "a" * 64)
    second, _ = claim_scratch(tmp_path, "distill@bert_l3", "a" * 64)
    assert first != second


def test_a_scratch_folder_is_collected_a_week_after_its_last_change(tmp_path: Path) -> None:
    folder, lock = claim_scratch(tmp_path, "distill@bert_l3", "a" * 64)
    (folder / "deep").mkdir()
    (folder / "deep/checkpoint").touch()
    (folder / "last").symlink_to("a checkpoint that is gone")
    (tmp_path / "downloads").mkdir()
    later_s = time.time() + KEPT_S
    assert collect_scratch(tmp_path, later_s + 5) == []  # a process works in it
    lock.release()
    assert collect_scratch(tmp_path, later_s - 60) == []
    assert collect_scratch(tmp_path, later_s + 5) == [folder.name]
    assert [path.name for path in tmp_path.iterdir()] == ["downloads"]
