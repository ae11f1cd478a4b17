"""The programs that `make test-services` starts beside Python: where they are, or how to install them.

python tools/programs.py              say of each where it is; exit 0 even if one is missing: its tests will say so
python tools/programs.py --install    before that, install what is missing, as root on Debian and Ubuntu
"""

import argparse
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

PACKAGES = {
    "initdb": "postgresql",
    "pg_ctl": "postgresql",
    "node": "nodejs",
    "npm": "npm",
    "chromium": "chromium",
}
"""Program -> the package that brings it on Debian and Ubuntu."""
ALIASES = {"chromium": ("chromium-browser", "google-chrome")}
POSTGRESQL = Path("/usr/lib/postgresql")
"""Where Debian keeps PostgreSQL's own programs, off the PATH."""


class MissingProgramError(LookupError):
    """A program is not installed; the message says how to install it."""


def find(program: str) -> Path:
    """Where a program is.

    Raises:
        MissingProgramError: it is not installed.
    """
    folders = os.pathsep.join([os.environ.get("PATH", ""), *map(str, sorted(POSTGRESQL.glob("*/bin"), reverse=True))])
    for name in (program, *ALIASES.get(program, ())):
        found = shutil.which(name, path=folders)
        if found:
            return Path(found)
    raise MissingProgramError(
        f"{program} is not installed: run `apt-get install {PACKAGES[program]}` as root (or install it your own way)"
    )


def main() -> None:
    """Say of each program where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true")
    if parser.parse_args().install:
        install(missing())
    lost = missing()
    for program in PACKAGES:
        print(f"{program:10} {lost[program] if program in lost else find(program)}")


def missing() -> dict[str, str]:
    """The programs that are not installed, and what to do about each."""
    lost = {}
    for program in PACKAGES:
        try:
            find(program)
        except MissingProgramError as error:
            lost[program] = f"MISSING, its tests cannot run: {error}"
    return lost


def install(programs: Iterable[str]) -> None:
    """Install programs with apt-get where that is there and may; what fails is said, and nothing is raised."""
    packages = sorted({PACKAGES[program] for program in programs})
    apt_get = shutil.which("apt-get")
    if not packages or apt_get is None or os.geteuid() != 0:
        return
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run([apt_get, "-qq", *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            print(f"apt-get {' '.join(arguments)} failed: {done.stderr.strip()[-500:]}")


if __name__ == "__main__":
    main()
