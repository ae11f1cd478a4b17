"""The programs that `make test-services` starts beside Python: where they are, or how to install them.

python tools/programs.py    say of each where it is; exit 0 even if one is missing: the tests that need it will fail
"""

import os
import shutil
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
    for program in PACKAGES:
        try:
            print(f"{program:10} {find(program)}")
        except MissingProgramError as error:
            print(f"{program:10} MISSING, its tests will fail: {error}")


if __name__ == "__main__":
    main()
