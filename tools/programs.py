"""Find or install the programs that `make test-services` starts beside Python.

python tools/programs.py              print the path of each; exit 0 even if one is missing, as its tests will fail
python tools/programs.py --install    first install those that are missing, as root on Debian and Ubuntu
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
"""Package of each program on Debian and Ubuntu."""
ALIASES = {"chromium": ("chromium-browser", "google-chrome")}
POSTGRESQL = Path("/usr/lib/postgresql")
"""Folder of PostgreSQL's own programs on Debian, which is not on the PATH."""


class MissingProgramError(LookupError):
    """A program is not installed; the message holds the command to install it."""


def find(program: str) -> Path:
    """Find the path of a program.

    Raises:
        MissingProgramError: the program is not installed.
    """
    folders = os.pathsep.join([os.environ.get("PATH", ""), *map(str, sorted(POSTGRESQL.glob("*/bin"), reverse=True))])
    for name in (program, *ALIASES.get(program, ())):
        found = shutil.which(name, path=folders)
        if found:
            return Path(found)
    raise MissingProgramError(
        f"{program} is not installed: run `apt-get install {PACKAGES[program]}` as root (or install it in another way)"
    )


def main() -> None:
    """Print the path of each program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true")
    if parser.parse_args().install:
        install(missing())
    lost = missing()
    for program in PACKAGES:
        print(f"{program:10} {lost[program] if program in lost else find(program)}")


def missing() -> dict[str, str]:
    """List the programs that are not installed, with the command to install each."""
    lost = {}
    for program in PACKAGES:
        try:
            find(program)
        except MissingProgramError as error:
            lost[program] = f"MISSING, its tests cannot run: {error}"
    return lost


def install(programs: Iterable[str]) -> None:
    """Install programs with apt-get where it exists and the user is root; print failures without raising."""
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
