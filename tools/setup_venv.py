"""Make .venv: an environment with pip, the packages of a lock and this project, with a display of progress.

python tools/setup_venv.py .venv               requirements.lock and the project
python tools/setup_venv.py .venv --services    requirements-services.lock on top

It runs with the Python that .venv is to have, and needs only the standard library. The packages are installed in
groups: a failed set-up resumes at the group that failed. Within a group pip resumes an interrupted download, and uses
its cache. pip's own output goes to pip.log in .venv.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Thread
from typing import IO

from setup_progress import PipOutput, Watch, normalise, packages_done, split

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from pipestill.errors import PipestillError  # it is not installed yet
from pipestill.redaction import print_error, redacted

PROJECT = Path("pyproject.toml")
LOCK = Path("requirements.lock")
SERVICES_LOCK = Path("requirements-services.lock")
USUAL_S = {"environment": 10.0, "packages": 65.0, "dependencies": 4.0, "pipestill": 4.0, "bytecode": 50.0}
"""Seconds that each phase takes on two cores where downloads are fast."""
SERVICES_USUAL_S = {"packages": 10.0, "bytecode": 5.0}
GROUP = 40.0
"""Weight of the packages that one pip command installs: each command costs a second, and a failure loses one
command."""
RESUMING = ("--progress-bar", "raw", "--resume-retries", "10")
"""Options of pip for downloads: raw progress output, and resumed downloads."""
BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)
"""The Python to make an environment with: the base interpreter, even if this one belongs to an environment."""
TICK_S = 0.2
TAIL = 20
"""Lines of the log to show after a failure."""

UNUSED = r"/tests?/|/transformers/models/(?!auto|(al|distil|mod|ro)?bert|electra|xlm_roberta)"
"""Files that are not compiled: tests, and the hundreds of model families that are not used."""


class SetupError(PipestillError):
    """The environment could not be made."""


class Setup:
    """One set-up of an environment.

    Args:
        folder: folder of the environment.
        usual_s: usual duration of each phase.
        append: whether to append to the log of an earlier set-up.
    """

    def __init__(self, folder: Path, usual_s: dict[str, float], *, append: bool) -> None:
        self.folder = folder
        self.python = folder / "bin/python"
        self.log_path = folder / "pip.log"
        self.watch = Watch(usual_s, sys.stdout)
        folder.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("a" if append else "w", encoding="utf-8")

    def pip(self, *arguments: str | Path, tick: Callable[[PipOutput], None] | None = None) -> PipOutput:
        """Run `pip install` in the environment and return its output.

        Args:
            arguments: requirements and options of pip.
            tick: callback that receives the progress a few times a second.

        Raises:
            SetupError: the command failed.
        """
        output = PipOutput()
        command = [self.python, "-m", "pip", "install", "--require-virtualenv", "--no-input", *arguments]
        code = self.run(command, output.read, lambda: tick(output) if tick else self.watch.show(0.0))
        if code != 0:
            self.fail(f"pip install {' '.join(map(str, arguments[-2:]))}", output.problem or f"exit code {code}")
        return output

    def run(self, command: Sequence[str | Path], read: Callable[[str], bool], tick: Callable[[], None]) -> int:
        """Run a command to its end and return its exit code.

        Args:
            command: command line to run.
            read: function that takes each printed line, and returns whether the line goes to the log.
            tick: callback that is called a few times a second.
        """
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        with subprocess.Popen(  # noqa: S603 (commands of our own)
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process:
            reader = Thread(target=self._read, args=(process.stdout, read))
            reader.start()
            while True:
                try:
                    process.wait(TICK_S)
                    break
                except subprocess.TimeoutExpired:
                    tick()
            reader.join()
        return process.returncode

    def _read(self, lines: IO[str], read: Callable[[str], bool]) -> None:
        for line in lines:
            if read(line.rstrip("\n")):
                self._log.write(line)
        self._log.flush()

    def fail(self, what: str, found: str) -> None:
        """Show the end of the log and raise the error."""
        self.watch.close()
        lines = self.log_path.read_text(encoding="utf-8").splitlines()[-TAIL:]
        print(redacted("\n".join([f"the end of {self.log_path}:", *(f"  {line}" for line in lines)])))
        raise SetupError(
            f"{self.folder} could not be made: `{what}` failed",
            found=found,
            expected="every package of the lock installed",
            next_step="run the same command again: installed and cached packages are not downloaded again",
        )


def main() -> None:
    """Read the command line and set up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="VENV")
    parser.add_argument(
        "--services", action="store_true", help="add the packages for a remote on S3 and the services' tests"
    )
    parsed = parser.parse_args()
    try:
        (add_services if parsed.services else set_up)(parsed.folder)
    except SetupError as error:
        print_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command resumes here", file=sys.stderr)
        sys.exit(130)


def set_up(folder: Path) -> None:
    """Make the environment, or update an existing one to the lock."""
    ready = folder / "ready"
    if not is_usable(folder / "bin/python", sys.version_info[:2]):
        if (folder / "pyvenv.cfg").exists():
            shutil.rmtree(folder)
    elif is_newer(ready, LOCK, PROJECT):
        return
    setup = Setup(folder, USUAL_S, append=False)
    pins = read_lock(LOCK)
    version = ".".join(map(str, sys.version_info[:3]))
    say(f"setting up {folder} with Python {version} and {len(pins)} packages; pip's output goes to {setup.log_path}")
    make_environment(setup, pins)
    setup.watch.begin("packages")
    install(setup, pins)
    check_dependencies(setup)
    setup.watch.begin("pipestill")
    setup.pip("--no-compile", "--no-deps", "--no-build-isolation", "-e", ".")
    compile_files(setup)
    ready.touch()
    setup.watch.close(f"{folder} is set up")


def add_services(folder: Path) -> None:
    """Install the packages of the services' lock."""
    setup = Setup(folder, SERVICES_USUAL_S, append=True)
    pins = read_lock(SERVICES_LOCK)
    say(f"adding {len(pins)} packages to {folder}; pip's output goes to {setup.log_path}")
    setup.watch.begin("packages")
    install(setup, pins)
    setup.pip("--no-compile", *RESUMING, "-c", LOCK, "-r", SERVICES_LOCK)
    compile_files(setup)
    (folder / "services").touch()
    setup.watch.close(f"{folder} has its services")


def is_newer(path: Path, *others: Path) -> bool:
    """Return whether a file exists and is newer than all others."""
    return path.exists() and path.stat().st_mtime > max(other.stat().st_mtime for other in others)


def say(text: str) -> None:
    """Print a line at once, into a pipe too."""
    print(text, flush=True)


def read_lock(path: Path) -> dict[str, str]:
    """Read the lines of a lock by the normalised name of their package, all lines of a package together."""
    pins: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if "==" in line and not line.startswith("#"):
            name = normalise(line.split("==")[0].strip())
            pins[name] = f"{pins[name]}\n{line}" if name in pins else line
    return pins


def make_environment(setup: Setup, pins: dict[str, str]) -> None:
    """Make the environment with the pinned pip; an existing one is kept with its packages."""
    if not (setup.folder / "pyvenv.cfg").exists():
        printed: list[str] = []

        def read(line: str) -> bool:
            printed.append(line)
            return True

        code = setup.run([BASE_PYTHON, "-m", "venv", setup.folder], read, lambda: setup.watch.show(0.0))
        if code != 0:
            setup.fail("python -m venv", printed[-1] if printed else f"exit code {code}")
    if "pip" in pins and "pip" not in installed(setup, pins):
        setup.pip(pins["pip"])  # compiled, as it is started several times


def is_usable(python: Path, version: tuple[int, int]) -> bool:
    """Return whether a command is a Python of one version that runs and has pip."""
    code = f"import sys, pip; sys.exit(sys.version_info[:2] != {version!r})"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0  # noqa: S603
    except OSError:
        return False


def install(setup: Setup, pins: dict[str, str]) -> None:
    """Install pinned packages group by group, except those already installed."""
    here = installed(setup, pins)
    missing = [name for name in pins if name not in here]
    ignored: set[str] = set()

    def tick(pip: PipOutput) -> None:
        here = installed(setup, pins) | ignored | pip.ignored
        done = f"{len(here)} of {len(pins)} installed, {len(pip.collected - here)} collected"
        setup.watch.show(packages_done(missing, here, pip), ", ".join(filter(None, [done, pip.doing()])))

    for group in split(missing, GROUP):
        requirements = setup.folder / "group.txt"
        requirements.write_text("\n".join(pins[name] for name in group), encoding="utf-8")
        ignored |= setup.pip("--no-compile", "--no-deps", *RESUMING, "-r", requirements, tick=tick).ignored
        requirements.unlink()


def check_dependencies(setup: Setup) -> None:
    """Let pip check that the packages fit together, and install requirements of this system, such as CUDA for torch."""
    setup.watch.begin("dependencies")

    def tick(pip: PipOutput) -> None:
        setup.watch.show(0.0, pip.doing() or f"{len(pip.collected)} checked")

    setup.pip("--no-compile", *RESUMING, "-r", LOCK, tick=tick)


def installed(setup: Setup, pins: dict[str, str]) -> set[str]:
    """List the names of the pinned packages that are installed in the pinned version."""
    return names_installed((path.name for path in setup.folder.glob("lib/python*/site-packages/*.dist-info")), pins)


def names_installed(folders: Iterable[str], pins: dict[str, str]) -> set[str]:
    """List the names of the pinned packages with a .dist-info folder of the pinned version.

    Args:
        folders: names such as `torch-2.13.0+cpu.dist-info`; the local part after `+` is ignored.
        pins: lines of a lock by normalised name.
    """
    found = set()
    for folder in folders:
        name, _, version = folder.removesuffix(".dist-info").partition("-")
        if re.search(rf"=={re.escape(version.partition('+')[0])}(?:\s|;|$)", pins.get(normalise(name), "")):
            found.add(normalise(name))
    return found


def compile_files(setup: Setup) -> None:
    """Compile the installed files to bytecode on all cores.

    pip compiles on one core, which takes as long as all the rest; where PYTHONDONTWRITEBYTECODE is set, each process
    would otherwise compile torch again. Files for another Python fail silently.
    """
    setup.watch.begin("bytecode")
    total = sum(1 for _ in uncompiled(setup.folder / "lib"))
    done = 0

    def read(line: str) -> bool:
        nonlocal done
        done += line.startswith("Compiling ")
        return not line.startswith(("Compiling ", "Listing "))

    command: list[str | Path] = [setup.python, "-m", "compileall", "-j", "0", "-x", UNUSED, setup.folder / "lib"]
    setup.run(command, read, lambda: setup.watch.show(done / total if total else 1.0, f"{done} of {total} files"))


def uncompiled(folder: Path) -> Iterable[Path]:
    """List the Python files below a folder that still have to be compiled."""
    for path in folder.rglob("*.py"):
        if not re.search(UNUSED, str(path)) and not Path(importlib.util.cache_from_source(str(path))).exists():
            yield path


if __name__ == "__main__":
    main()
