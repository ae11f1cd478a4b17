"""requirements.lock on the Pythons that the pipeline runs on beside this one: every pin exists, and they fit together."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipestill import TRAINING_PYTHONS

ROOT = Path(__file__).parents[2]
OTHERS = [f"{major}.{minor}" for major, minor in TRAINING_PYTHONS if (major, minor) != sys.version_info[:2]]
LINES = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]

pytestmark = pytest.mark.timeout(900)


def pip(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def resolved(version: str, folder: Path) -> list[dict[str, Any]]:
    """The metadata of every pin but torch, whose wheel is large, as an installation on another Python would find it."""
    (folder / "lock").write_text("\n".join(line for line in LINES if not line.startswith("torch==")))
    target = ["--target", folder / "none", "--python-version", version, "--no-deps", "--ignore-installed"]
    pip("install", "--quiet", "--dry-run", "--report", folder / "report", *target, "-r", folder / "lock")
    return [item["metadata"] for item in json.loads((folder / "report").read_text())["install"]]


def unmet(requirement: str, version: str, versions: dict[str, str]) -> bool:
    """Whether pins lack what one of them requires on a Python of some version."""
    asked = Requirement(requirement)
    environment = {
        **default_environment(),
        "python_version": version,
        "python_full_version": f"{version}.0",
        "extra": "",
    }
    if asked.marker and not asked.marker.evaluate(environment):
        return False
    found = versions.get(canonicalize_name(asked.name))
    return found is None or not asked.specifier.contains(found, prereleases=True)


@pytest.mark.parametrize("version", OTHERS)
def test_the_lock_resolves_on_another_python_of_the_pipeline(version: str, tmp_path: Path) -> None:
    packages = resolved(version, tmp_path)
    versions = {canonicalize_name(package["name"]): package["version"] for package in packages}
    (torch,) = (line.split("==")[1] for line in LINES if line.startswith("torch=="))
    listed = pip("index", "versions", "torch", "--python-version", version, "--only-binary=:all:", "--json")
    assert torch in json.loads(listed)["versions"]
    versions["torch"] = torch
    assert [
        f"{package['name']}: {requirement}"
        for package in packages
        for requirement in package.get("requires_dist", [])
        if unmet(requirement, version, versions)
    ] == []
    assert [
        package["name"]
        for package in packages
        if "requires_python" in package
        and unmet(f"python{package['requires_python']}", version, {"python": f"{version}.0"})
    ] == []
