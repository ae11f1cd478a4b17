"""Scratch folders: files that a killed execution needs again, such as checkpoints, found by the request's key."""

import os
import re
import shutil
import time
from pathlib import Path

from filelock import FileLock, Timeout

from pipestill.tracking.run_record import file_stem
from pipestill.tracking.writer import say

SCRATCH = Path(".scratch")
SCRATCH_TIMEOUT_S = 5.0
"""Seconds to wait for a lock: workers of a killed process hold it for a moment longer."""
KEPT_S = 7 * 24 * 3600
"""Seconds that a failed run's folder is kept: one not resumed within a week will not be resumed."""
_CLAIMED = re.compile(r".+-[0-9a-f]{16}(-\d+)?")
"""The names that `claim_scratch` gives; downloads and tables beside them are never removed."""


def claim_scratch(root: Path, stage: str, key: str) -> tuple[Path, FileLock]:
    """Lock the scratch folder of a request, or a new one while another process works in it.

    Args:
        root: folder of all scratch folders.
        stage: address of the stage.
        key: content address of the request.

    Returns:
        The folder, and the lock that keeps others out while this process lives.
    """
    folder = root / f"{file_stem(stage)}-{key[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock", timeout=SCRATCH_TIMEOUT_S)
    try:
        lock.acquire()
    except Timeout:
        folder = folder.with_name(f"{folder.name}-{os.getpid()}")
        folder.mkdir(parents=True, exist_ok=True)
        say(f"another process works on the same request; this one starts anew in {folder.name}")
    folder.mkdir(exist_ok=True)  # a sync may have collected it since
    return folder, lock


def collect_scratch(root: Path, now_s: float | None = None) -> list[str]:
    """Remove the scratch folders of failed runs that nobody resumed.

    Args:
        root: folder of all scratch folders.
        now_s: seconds since 1970; None for the clock's.

    Returns:
        The names of the folders removed: nothing in them has changed for KEPT_S, and no process works in them.
    """
    limit_s = (time.time() if now_s is None else now_s) - KEPT_S
    removed = []
    for folder in sorted(path for path in root.glob("*") if path.is_dir() and _CLAIMED.fullmatch(path.name)):
        if max(_changed_s(path) for path in (folder, *folder.rglob("*"))) > limit_s:
            continue
        try:
            with FileLock(f"{folder}.lock", timeout=0):
                shutil.rmtree(folder)
                removed.append(folder.name)
        except Timeout:
            continue
        Path(f"{folder}.lock").unlink(missing_ok=True)
    return removed


def _changed_s(path: Path) -> float:
    """Return when a file or a link was last written; 0 for one removed meanwhile."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0
