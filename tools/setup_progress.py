"""Progress of tools/setup_venv.py: reading pip's lines, estimating the time left, and showing both.

Standard library only: it runs before anything is installed.
"""

import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

LINE_S = 10.0
"""Seconds between two lines of a log."""
MIN_FRACTION = 0.1
"""Fraction of a phase from which its own pace is a better estimate than the usual duration."""
COLLECTING = 0.6
"""The share of a package's time that is spent before it is unpacked, most of it downloading."""
WEIGHTS = {"torch": 40.0}
"""Packages that take as long as many others."""

_COLLECTED = re.compile(r"\s*(?:Collecting|Processing|Requirement already satisfied:) (\S+)")
_IGNORED = re.compile(r"Ignoring (\S+): markers")
_FILE = re.compile(r"\s*(?:Downloading|Using cached) (\S+)")
_PROGRESS = re.compile(r"\s*Progress (\d+) of (\d+)$")


def normalise(name: str) -> str:
    """Normalise the name of a distribution for comparison: lower case, `_` for `-` and `.`."""
    return re.sub(r"[-_.]+", "_", name).lower()


def weight(names: Iterable[str]) -> float:
    """Estimate the work of installing some packages, in packages of the usual size."""
    return sum(WEIGHTS.get(name, 1.0) for name in names)


def split(names: Sequence[str], size: float) -> list[list[str]]:
    """Split names into consecutive groups that weigh about `size` each, and hold one name at least."""
    groups: list[list[str]] = []
    for name in names:
        if groups and weight([*groups[-1], name]) <= size:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


@dataclass
class PipOutput:
    """Progress of one pip command, read from its output with `--progress-bar raw`.

    Attributes:
        collected: names of the distributions that it has found.
        ignored: names of requirements that are for another Python or system.
        file: file being downloaded; empty without a download.
        done_bytes: bytes of that file downloaded.
        total_bytes: size of that file; 0 while unknown.
        num_installing: distributions being unpacked; 0 before.
        problem: first error that it printed.
    """

    collected: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)
    file: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    num_installing: int = 0
    problem: str = ""

    def read(self, line: str) -> bool:
        """Process one line, and return whether it belongs in the log."""
        if progress := _PROGRESS.match(line):
            self.done_bytes, self.total_bytes = int(progress[1]), int(progress[2])
            if self.done_bytes == self.total_bytes:
                self.file = ""
            return False
        if found := _FILE.match(line):
            self.file, self.done_bytes, self.total_bytes = found[1].rpartition("/")[2], 0, 0
        elif found := _COLLECTED.match(line):
            self.collected.add(_name_in(found[1]))
            self.file = ""
        elif found := _IGNORED.match(line):
            self.ignored.add(normalise(found[1]))
        elif line.startswith("Installing collected packages:"):
            self.file, self.num_installing = "", line.count(",") + 1
        elif line.startswith("ERROR: ") and not self.problem:
            self.problem = line.removeprefix("ERROR: ").strip()
        return True

    def doing(self) -> str:
        """Describe a download in progress, or the number of distributions being unpacked; else return an empty text."""
        if self.num_installing:
            return f"unpacking {self.num_installing}"
        if not self.file or not self.total_bytes:
            return ""
        return f"downloading {self.file.split('-')[0]}, {self.done_bytes / 1e6:.1f} of {self.total_bytes / 1e6:.1f} MB"


def _name_in(word: str) -> str:
    """Extract the name in a requirement (`a-b[c]==1.0`) or in a wheel's path (`/x/a_b-1.0-py3-none-any.whl`)."""
    name = word.rpartition("/")[2]
    stop = r"[^A-Za-z0-9._-]" if name == word else "-"
    return normalise(re.split(stop, name, maxsplit=1)[0])


def packages_done(pins: Sequence[str], installed: set[str], pip: PipOutput) -> float:
    """Compute the fraction of the pinned packages' work that is done.

    Args:
        pins: names of the packages to be installed, normalised.
        installed: names of the installed ones.
        pip: output of the command that installs the next ones.
    """
    waiting = {name for name in pins if name not in installed}
    started = waiting & pip.collected
    done = weight(pins) - weight(waiting) + COLLECTING * weight(started)
    current = normalise(pip.file.split("-")[0])
    if (
        current in started and pip.total_bytes
    ):  # collected means found: the download of a large file counts by its bytes
        done -= COLLECTING * weight([current]) * (1 - pip.done_bytes / pip.total_bytes)
    return done / weight(pins) if pins else 1.0


def left_s(usual_s: Mapping[str, float], phase: str, fraction: float, in_phase_s: float) -> float:
    """Estimate the seconds left: of this phase by its own pace, of later ones by their usual duration.

    Args:
        usual_s: usual duration of every phase, in order.
        phase: number of the present phase.
        fraction: fraction of the phase that is done.
        in_phase_s: seconds since the phase began.
    """
    phases = list(usual_s)
    after_s = sum(usual_s[name] for name in phases[phases.index(phase) + 1 :])
    if fraction < MIN_FRACTION:
        return max(usual_s[phase] - in_phase_s, 0.0) + after_s
    return in_phase_s * (1 - fraction) / fraction + after_s


def minutes(seconds: float) -> str:
    """Write seconds as minutes:seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Watch:
    """Display of the set-up's progress: one moving line on a terminal, a line every LINE_S seconds in a log.

    Args:
        usual_s: usual duration of every phase, in order.
        stream: terminal or log file.
        clock: function that returns seconds from any point in time.
    """

    def __init__(
        self, usual_s: Mapping[str, float], stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._usual_s = usual_s
        self._stream = stream
        self._clock = clock
        self._moving = stream.isatty()
        self._begun = self._phase_begun = self._last_line = clock()
        self._phase = next(iter(usual_s))

    def begin(self, phase: str) -> None:
        """Begin the next phase."""
        self._phase = phase
        self._phase_begun = self._clock()

    def show(self, fraction: float, text: str = "") -> None:
        """Show the progress of this phase: at once on a terminal, in a log if the last line is LINE_S old.

        Args:
            fraction: fraction of the phase that is done.
            text: description of the present action.
        """
        now = self._clock()
        if not self._moving and now - self._last_line < LINE_S:
            return
        self._last_line = now
        number = list(self._usual_s).index(self._phase) + 1
        left = left_s(self._usual_s, self._phase, fraction, now - self._phase_begun)
        line = f"[{number}/{len(self._usual_s)}] {minutes(now - self._begun)} so far, about {minutes(left)} left: "
        self._write(line + ": ".join(part for part in (self._phase, text) if part))

    def close(self, text: str = "") -> float:
        """Remove the moving line, print a last one, and return the seconds since the start."""
        if self._moving:
            self._stream.write("\r\x1b[K")
        if text:
            self._stream.write(f"{text} in {minutes(self._clock() - self._begun)}\n")
        self._stream.flush()
        return self._clock() - self._begun

    def _write(self, line: str) -> None:
        if self._moving:
            self._stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()
