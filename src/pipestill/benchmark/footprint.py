"""Memory of a process."""

import resource
from pathlib import Path

_KIB = 1024
_STATUS = Path("/proc/self/status")


def peak_memory_bytes(status: Path = _STATUS) -> int:
    """Read the peak resident memory of this process.

    Linux's getrusage inherits the parent's peak, so the kernel's figure for this process only is preferred.
    """
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
