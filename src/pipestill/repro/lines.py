"""The lines that `dvc repro` prints about its stages, and those that only DVC's own users need."""

import re
from typing import Literal, NamedTuple

from pipestill.tracking.identity import name_in

Kind = Literal["running", "unchanged", "restored", "locked"]

PATTERNS: dict[Kind, re.Pattern[str]] = {
    "running": re.compile(r"Running stage '([^']+)':"),
    "unchanged": re.compile(r"(?:Stage )?'([^']+)' didn't change, skipping"),
    "restored": re.compile(r"Stage '([^']+)' is cached - skipping run, checking out outputs"),
    "locked": re.compile(r"(?:Updating|Generating) lock file '([^']+)'"),
}
LEFT_OUT = re.compile(
    r"Data and pipelines are up to date\."
    r"|Use `dvc push` to send your updates to remote storage\."
    r"|To track the changes with git, run:|\tgit add .*"
    r"|To enable auto staging, run:|\tdvc config core\.autostage true"
)
"""DVC's last words: the count of stages says the first, and the others are for who shares or commits the result."""


class Event(NamedTuple):
    """News of a stage: it starts, was skipped or restored; or, `locked`, the one that ran is in dvc.lock now."""

    kind: Kind
    stage: str


def is_left_out(line: str) -> bool:
    """Whether a line is not shown: it is empty, or among DVC's last words."""
    return not line or LEFT_OUT.fullmatch(line) is not None


def read_event(line: str) -> Event | None:
    """Read a line of `dvc repro`; None for one that is about no stage."""
    for kind, pattern in PATTERNS.items():
        found = pattern.fullmatch(line)
        if found:
            return Event(kind, name_in(found[1]))
    return None
