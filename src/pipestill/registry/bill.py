"""The bill of materials of a release, in CycloneDX 1.6: the model's files, and the packages of requirements.lock.

Written by hand to the published schema: a library for it would bring more packages than the format has keys.
"""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SPEC_VERSION = "1.6"


def bill_of_materials(name: str, version: str, files: Mapping[str, str], lock: Path) -> dict[str, Any]:
    """Make the bill, as it is written to JSON.

    Args:
        name: name of the released artifact.
        version: version of the release.
        files: SHA-256 of each released file by its path in the artifact's folder.
        lock: path of requirements.lock, whose packages the artifact was made with.
    """
    model = f"model:{name}@{version}"
    packages = [_package(line) for line in _requirements(lock)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, ' '.join([model, *files.values()]))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "machine-learning-model",
                "bom-ref": model,
                "name": name,
                "version": version,
                "components": [
                    {"type": "file", "name": path, "hashes": [{"alg": "SHA-256", "content": digest}]}
                    for path, digest in files.items()
                ],
            }
        },
        "components": packages,
        "dependencies": [{"ref": model, "dependsOn": [package["bom-ref"] for package in packages]}],
    }


def _requirements(lock: Path) -> list[Requirement]:
    # A package's hashes stand on lines of their own, behind a backslash.
    lines = (line.partition("#")[0].strip().removesuffix("\\").strip() for line in lock.read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def _package(requirement: Requirement) -> dict[str, Any]:
    version = next(iter(requirement.specifier)).version
    purl = f"pkg:pypi/{canonicalize_name(requirement.name)}@{version}"
    marker = [{"name": "python:marker", "value": str(requirement.marker)}] if requirement.marker else []
    package = {"type": "library", "bom-ref": purl, "name": requirement.name, "version": version, "purl": purl}
    return package | ({"properties": marker} if marker else {})
