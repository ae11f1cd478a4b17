"""The files that a release is published with: its signature, its provenance and its bill of materials."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipestill.fingerprint import sha256_bytes
from pipestill.registry.bill import bill_of_materials
from pipestill.registry.provenance import provenance
from pipestill.registry.releases import ARTIFACT
from pipestill.signing.command import SIGNATURE
from pipestill.signing.envelope import sign_statement
from pipestill.signing.folder import folder_statement, sha256_of_files
from pipestill.tracking.inputs import refuse_changed
from pipestill.tracking.lock import LOCK, read_lock

BILL = "bom.cdx.json"
PROVENANCE = "provenance.json"
SIGNED_PROVENANCE = "provenance.sig"
REQUIREMENTS = Path("requirements.lock")


def attest(root: Path, artifact: str, version: str, *, remote: str, key: Path | None) -> dict[str, bytes]:
    """Make the files, by name; without a key the two signatures are left out.

    Args:
        root: root of the repository, with the released commit checked out.
        artifact: path of the artifact's folder.
        version: version of the release, such as v1.2.0.
        remote: name of the git remote that has the commit.
        key: path of the private key, in PEM.

    Returns:
        The content of each file.

    Raises:
        SignatureError: the key cannot be used.
        InputError: a file of the artifact has other bytes than dvc.lock says.
    """
    with _artifact_files(root, artifact) as folder:
        files = sha256_of_files(folder)
    made = {}
    if (root / REQUIREMENTS).exists():
        made[BILL] = _json(bill_of_materials(ARTIFACT, version, files, root / REQUIREMENTS))
    source = {"uri": _git(root, "remote", "get-url", remote), "commit": _git(root, "rev-parse", "HEAD")}
    digests = {name: sha256_bytes(content) for name, content in made.items()}
    statement = provenance(files, read_lock(root / LOCK), artifact, source=source, byproducts=digests)
    made[PROVENANCE] = _json(statement)
    if key is not None:
        made[SIGNATURE] = sign_statement(folder_statement(f"{ARTIFACT}@{version}", files), key)
        made[SIGNED_PROVENANCE] = sign_statement(statement, key)
    return made


@contextmanager
def _artifact_files(root: Path, artifact: str) -> Iterator[Path]:
    """Copy the artifact that dvc.lock names to a folder that lasts as long as the block: it need not be checked out.

    The copies are compared with the lock, since DVC takes them from its cache as they are.
    """
    from dvc.api import DVCFileSystem

    fs = DVCFileSystem(str(root))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary, "artifact")
        fs.get(artifact, str(folder), recursive=True)
        names = {path: Path(path).relative_to(artifact) for path in fs.find(artifact)}
        refuse_changed(
            {folder / name: str(fs.info(path)["dvc_info"]["md5"]) for path, name in names.items()}, whole=True
        )
        yield folder


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603, S607
    return done.stdout.strip()
