"""Content addresses: hashes of texts, files, folders and settings, independent of names and paths."""

import hashlib
import json
from pathlib import Path
from typing import Any

CONTENT_ID_BYTES = 16
_CHUNK_BYTES = 1 << 20


def content_id(text: str) -> str:
    """Hash a text's bytes.

    Returns:
        32 hexadecimal digits: BLAKE2b-128 of the UTF-8 text.
    """
    return hashlib.blake2b(text.encode("utf-8"), digest_size=CONTENT_ID_BYTES).hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Compute the SHA-256 of some bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """Compute the SHA-256 of a file, read in pieces, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_files(folder: Path) -> dict[str, str]:
    """Compute the SHA-256 of every file below a folder, by its path relative to the folder, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def sha256_json(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """Compute the SHA-256 of a JSON value in canonical form: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256_bytes(text.encode("utf-8"))
