"""Pin every package of this environment into requirements.lock, and those of `services` into a lock of its own.

A local build tag (torch's `+cpu`) is left out, so that the release installs where only the plain one is offered.

A lock holds for every Python that the pipeline runs on. Where one of them needs another release, or a package that the
others do not need, its line carries a marker, written by hand (`name==1.0 ; python_version >= "3.12"`): a line whose
marker is for another Python is left unchanged, one whose marker is for this Python keeps the marker.
"""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path("requirements.lock")
SERVICES_LOCK = Path("requirements-services.lock")
HEAD = "# Every package of .venv, pinned by `make lock`. pyproject.toml says what each direct dependency is for."
SERVICES_HEAD = "# What `make services` adds to requirements.lock, pinned by `make lock`."


def main() -> None:
    """Write both locks."""
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--exclude-editable"], check=True, capture_output=True, text=True
    ).stdout
    pins = {line.split("+")[0] for line in frozen.splitlines() if "==" in line and not line.startswith("pipestill")}
    # pip freeze leaves these out. The one builds pipestill itself, the other installs and resumes downloads.
    pins |= {f"{name}=={version(name)}" for name in ("pip", "setuptools")}
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    services = closure(extras["services"])
    if not services:  # not installed here: its lock stays unchanged
        print(f"{SERVICES_LOCK} is left alone: run `make services` first to pin it again")
    added = services - closure([*project["dependencies"], *extras["train"], *extras["dev"]])
    on_top = {pin for pin in pins if canonicalize_name(pin.split("==")[0]) in added}
    write(LOCK, HEAD, pins - on_top)
    if services:
        write(SERVICES_LOCK, SERVICES_HEAD, on_top)


def closure(lines: list[str]) -> set[str]:
    """List the direct and indirect requirements of `lines`; empty if one of `lines` itself is not installed."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in lines]
    direct = {canonicalize_name(requirement.name) for requirement in waiting}
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        try:
            asked = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:
            if name in direct:
                return set()
            continue
        for extra in {"", *requirement.extras}:
            if (name, extra) not in found:
                found.add((name, extra))
                waiting += [item for item in asked if not item.marker or item.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def with_markers(old: list[str], pins: set[str]) -> set[str]:
    """Give new pins the markers that the lines of the old lock have.

    Args:
        old: lines of the present lock.
        pins: installed packages, as `name==version`.

    Returns:
        The lines of the new lock.
    """
    lines = {canonicalize_name(pin.split("==")[0]): pin for pin in pins}
    others = set()
    for line in old:
        if ";" not in line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate():
            others.add(line)
        elif name in lines:
            lines[name] += f" ; {requirement.marker}"
    return others | set(lines.values())


def write(path: Path, head: str, pins: set[str]) -> None:
    """Write one lock, sorted."""
    lines = with_markers(path.read_text(encoding="utf-8").splitlines(), pins)
    path.write_text("\n".join([head, *sorted(lines, key=str.lower), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
