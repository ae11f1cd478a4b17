"""The run record: everything that a stage logged, so that its MLflow run can be rebuilt in any store.

It is a cached DVC out of its stage, `runs/<stage>.json`. No stage depends on it, since its run id and wall times change
with every run.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from pipestill.choices import Choice
from pipestill.environment import Environment
from pipestill.params import FROM_LIST
from pipestill.records import Record

RECORDS = Path("runs")
MAX_ARTIFACT_BYTES = 1 << 20
"""Largest figure or text kept in a record, since everyone who looks at the runs fetches the records."""
MAX_ARTIFACTS_BYTES = 8 << 20
"""Largest sum of all artifacts kept in one record."""

Status = Literal["FINISHED", "FAILED", "KILLED"]


NonFinite = Literal["nan", "inf", "-inf"]
Numbers = Annotated[tuple[float | NonFinite, ...], FROM_LIST]
"""Numbers and the names of those that JSON lacks: a diverged loss (nan, inf) has to be recorded too."""


class MetricHistory(Record):
    """One metric's values in the order they were logged."""

    steps: tuple[int, ...]
    times_ms: tuple[int, ...]
    values: Numbers


class DatasetInfo(Record):
    """A data set that an execution read; `md5` is DVC's, with `.dir` for a folder."""

    name: str
    path: str
    context: str
    md5: str


class ModelInfo(Record):
    """A model folder that an execution read or wrote; `md5` is DVC's."""

    name: str
    path: str
    md5: str


class Artifact(Record):
    """A figure, text or file shown on the run's page.

    `content_base64` is None where the file is too large for the record: then `md5` and `path` name it.
    """

    name: str
    size_bytes: int
    md5: str
    path: str | None
    content_base64: str | None

    def content(self) -> bytes | None:
        """Return the artifact's bytes, or None if the record does not hold them."""
        return None if self.content_base64 is None else base64.b64decode(self.content_base64)


class RunRecord(Record):
    """One execution of one stage.

    `key` is the content address of the request (cmd, md5 of deps, params), `execution_id` names this one execution, and
    `run_id` the MLflow run written live: None without a store to write to, or where it had not answered when the stage
    ended; `sync` finds runs by `execution_id`. `code` has the digest of every module of the stage, by path
    (docs/decisions/0017); records of older runs have none.
    """

    schema_version: Literal[1] = 1
    stage: str
    key: str
    execution_id: str
    run_id: str | None
    status: Status
    cmd: str
    deps: dict[str, str]
    code: dict[str, str] = Field(default_factory=dict)
    outs: dict[str, str]
    dvc_params: dict[str, dict[str, Any]]
    params: dict[str, str]
    metrics: dict[str, MetricHistory]
    datasets: tuple[DatasetInfo, ...]
    models: tuple[ModelInfo, ...]
    choices: tuple[Choice, ...] = ()
    artifacts: tuple[Artifact, ...]
    git_commit: str | None
    git_dirty: bool | None
    experiment: str | None
    environment: Environment
    start_time_ms: int
    end_time_ms: int
    wall_time_s: float


def record_path(stage: str) -> Path:
    """Return the path of a stage's record, relative to the repository root: `@` and `/` become `-`."""
    return RECORDS / f"{file_stem(stage)}.json"


def file_stem(stage: str) -> str:
    """Return a stage's name as part of a file name."""
    return "".join(char if char.isalnum() or char in "._-" else "-" for char in stage)


def pack_number(value: float) -> float | NonFinite:
    """Return a number in a form that JSON can hold."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def pack_artifact(name: str, content: bytes, path: str | None, held_bytes: int) -> Artifact:
    """Describe an artifact, with its bytes if they fit.

    Args:
        name: path below the run's artifacts.
        content: bytes of the artifact.
        path: path in the repository, None for a text that is not in a file.
        held_bytes: bytes of the artifacts already in the record.

    Returns:
        The artifact, without its bytes if they do not fit.
    """
    fits = len(content) <= MAX_ARTIFACT_BYTES and held_bytes + len(content) <= MAX_ARTIFACTS_BYTES
    return Artifact(
        name=name,
        size_bytes=len(content),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        path=path,
        content_base64=base64.b64encode(content).decode("ascii") if fits else None,
    )


def flatten(params: BaseModel | Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Flatten a section to dotted names and texts: a list of mappings by number, another list as JSON."""
    plain: Mapping[str, Any] = params.model_dump(mode="json") if isinstance(params, BaseModel) else params
    flat: dict[str, str] = {}
    for key, value in plain.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(member, Mapping) for member in value):
            flat |= flatten({str(number): member for number, member in enumerate(value)}, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = (
                value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            )
    return flat
