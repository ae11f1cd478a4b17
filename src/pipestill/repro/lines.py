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
"""Closing lines of DVC that are left out: the count of stages replaces the first, the others concern sharing and
commits."""


class Event(NamedTuple):
    """Event of a stage: it starts, was skipped or restored; or, `locked`, the one that ran was written to dvc.lock."""

    kind: Kind
    stage: str


def is_left_out(line: str) -> bool:
    """Return whether a line is left out: it is empty, or among DVC's closing lines."""
    return not line or LEFT_OUT.fullmatch(line) is not None


def read_event(line: str) -> Event | None:
    """Parse a line of `dvc repro`; None for a line without an event."""
    for kind, pattern in PATTERNS.items():
        found = pattern.fullmatch(line)
        if found:
            return Event(kind, name_in(found[1]))
    return None
