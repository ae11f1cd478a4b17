"""Pin every package of this environment into requirements.lock.

A local build tag (torch's `+cpu`) is left out: the same release must install where only the plain one is offered.
"""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

LOCK = Path("requirements.lock")
HEAD = "# Every package of .venv, pinned by `make lock`. pyproject.toml says what each direct dependency is for."


def main() -> None:
    """Write the lock."""
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--exclude-editable"], check=True, capture_output=True, text=True
    ).stdout
    pins = [line.split("+")[0] for line in frozen.splitlines() if "==" in line and not line.startswith("pipestill")]
    pins.append(f"setuptools=={version('setuptools')}")  # builds pipestill itself; pip freeze leaves it out
    LOCK.write_text("\n".join([HEAD, *sorted(set(pins), key=str.lower), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
