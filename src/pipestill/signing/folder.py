"""A folder as a statement: the SHA-256 of every file in it, and the comparison of a folder with such a statement."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.signing.envelope import STATEMENT_TYPE, SignatureError

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
CHUNK_BYTES = 1 << 20


def sha256_of_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder by its path there, sorted; links are refused.

    Raises:
        SignatureError: the folder is missing or empty, or holds a link.
    """
    paths = sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
    links = [path for path in paths if path.is_symlink()]
    if links:
        raise SignatureError(f"{links[0]} is a link", expected="files alone: a link's target may change")
    found = {path.relative_to(folder).as_posix(): _sha256(path) for path in paths if not path.is_dir()}
    if not found:
        raise SignatureError(f"{folder} is missing or empty", expected="the folder of an artifact")
    return found


def folder_statement(name: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Make the statement that a folder holds exactly some files.

    Args:
        name: name of the folder's content.
        files: SHA-256 of each file by its path in the folder, sorted.
    """
    whole = hashlib.sha256(b"".join(map(bytes.fromhex, files.values()))).hexdigest()
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": whole}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "resources": [{"name": file, "digest": digest, "algorithm": "sha256"} for file, digest in files.items()],
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
        },
    }


def stated_files(statement: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each file by its path that a statement about a folder names, its order kept.

    Raises:
        SignatureError: the statement is about something else, or was made by another method.
    """
    try:
        fits = statement["predicateType"] == PREDICATE_TYPE
        predicate = statement["predicate"]
        method = predicate["serialization"]
        files = {entry["name"]: entry["digest"] for entry in predicate["resources"] if entry["algorithm"] == "sha256"}
        fits &= (method["method"], method["hash_type"], len(files)) == ("files", "sha256", len(predicate["resources"]))
    except (KeyError, TypeError) as error:
        raise SignatureError("the signature does not list a folder's files", found=error) from error
    if not fits:
        raise SignatureError(
            "the signature is about something else than a folder's files",
            found=statement["predicateType"],
            expected=f"{PREDICATE_TYPE}, with the SHA-256 of each file",
        )
    return files


def refuse_other_files(folder: Path, stated: Mapping[str, str]) -> None:
    """Refuse a folder that does not hold exactly the stated files.

    Args:
        folder: folder to read whole.
        stated: SHA-256 of each file by its path in the folder.

    Raises:
        SignatureError: a file is changed, missing or was added.
    """
    found = sha256_of_files(folder)
    differences = [
        *(f"{name} was changed" for name in stated if name in found and found[name] != stated[name]),
        *(f"{name} is missing" for name in stated if name not in found),
        *(f"{name} was added" for name in found if name not in stated),
    ]
    if differences:
        raise SignatureError(
            f"{folder} is not the folder that was signed",
            found="; ".join(differences),
            expected=f"the {len(stated)} signed files, byte for byte",
            next_step="do not use it; fetch the release again",
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
