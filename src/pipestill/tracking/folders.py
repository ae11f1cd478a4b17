"""The folders that every stage writes to, checked before its work."""

import os
from pathlib import Path

from pipestill.errors import RecordError
from pipestill.tracking.identity import home
from pipestill.tracking.run_record import RECORDS
from pipestill.tracking.scratch import SCRATCH


def check_folders() -> None:
    """Refuse a file in the place of runs/ or .scratch/, which a stage would meet at its end.

    Raises:
        RecordError: one is a file, a link to nothing, or a folder that cannot be written to.
    """
    for folder in (RECORDS, home() / SCRATCH):
        _check_folder(folder)


def _check_folder(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        kind = "a link to nothing" if folder.is_symlink() and not folder.exists() else "a file"
        raise RecordError(
            f"{folder} is not a folder",
            found=kind,
            expected="a folder, which every stage writes to",
            next_step=f"move it away: `mv {folder} {folder}.old`",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RecordError(
            f"{folder} cannot be written to",
            found=f"mode {folder.stat().st_mode & 0o777:o}",
            expected="a folder that every stage writes to",
            next_step=f"`chmod u+rwx {folder}`, or take it over from its owner",
        )
