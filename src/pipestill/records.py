"""Records: a stage's figures and facts as JSON, with equal bytes for equal values."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipestill.errors import RecordError


class Record(BaseModel):
    """Base of every record: frozen, no unknown keys, finite numbers only.

    Field names carry the unit (`_ms`, `_bytes`, `_fraction`, `_nats`, `num_`); see docs/glossary.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


R = TypeVar("R", bound=BaseModel)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: a kill leaves the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 (any JSON value)
    """Write a JSON value or a record: UTF-8, two spaces, keys in the order given, a newline at the end, atomically."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def read_json(path: Path) -> Any:  # noqa: ANN401 (any JSON value)
    """Read a JSON file.

    Raises:
        RecordError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(
            f"record {path} cannot be read", found=error, next_step="run `dvc repro` to write it again"
        ) from error


def read_record(path: Path, kind: type[R]) -> R:
    """Read a record of a known kind.

    Raises:
        RecordError: the file is missing, is not JSON, or does not hold a record of this kind.
    """
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        raise RecordError(
            f"{path} does not hold a {kind.__name__}", found=error, next_step="run `dvc repro` to write it again"
        ) from error
