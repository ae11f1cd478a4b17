"""How much memory a piece of code takes, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent
WATCHED = """
import sys, threading
from pathlib import Path
sys.path.insert(0, {tests!r})
arguments = sys.argv[1:]
{prepare}

def anonymous_kib():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])

peak, done = 0, threading.Event()

def watch():
    global peak
    while not done.wait(0.005):
        peak = max(peak, anonymous_kib())

before = anonymous_kib()
watcher = threading.Thread(target=watch)
watcher.start()
try:
    {run}
finally:
    done.set()
watcher.join()
print(peak - before)
"""


PLAIN_ALLOCATORS = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
"""What Arrow's own allocator and glibc's arenas keep for later differs from run to run by more than the bounds."""


def grown_kib(prepare: str, run: str, *arguments: object) -> int:
    """The highest anonymous memory while `run` ran, less that before it; files mapped into memory do not count.

    Args:
        prepare: Python lines, not measured; they see `arguments`, a list of strings.
        run: one Python line.
        arguments: for `prepare`.
    """
    code = WATCHED.format(tests=str(TESTS), prepare=prepare, run=run)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | PLAIN_ALLOCATORS)
    return int(done.stdout.splitlines()[-1])
