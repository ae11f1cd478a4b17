"""Start of a stage's run: by the tracking process, in the stage's own process, or later by `sync`."""

import os

from pipestill.tracking.live import LiveRun, Opening, open_run
from pipestill.tracking.remote import RemoteRun, open_remote_run
from pipestill.tracking.writer import say, say_offline

SWITCH, LIVE, LATER = "PIPESTILL_TRACKING", "live", "later"
"""With `later` a stage writes its run record alone, and saves the seconds that importing mlflow takes."""

AnyRun = LiveRun | RemoteRun


def is_live() -> bool:
    """Return whether stages open an MLflow run at once, or leave it to `sync`; see `SWITCH`."""
    value = os.environ.get(SWITCH, LIVE)
    if value not in {LIVE, LATER}:
        say(f"{SWITCH} is {value!r} and is ignored: set it to {LIVE} or {LATER}")
    return value != LATER


def start_live_run(opening: Opening) -> AnyRun | None:
    """Open a run, by the tracking process where there is one; on failure print a warning and return None."""
    try:
        return open_remote_run(opening) or _open_here(opening)
    except Exception as error:  # noqa: BLE001 (whatever it is, the stage goes on)
        say_offline(error)
        return None


def _open_here(opening: Opening) -> LiveRun:
    """Open a run in this process: mlflow is imported in the calling thread, which is the main one."""
    opened = open_run(opening)
    return LiveRun(lambda: opened)
