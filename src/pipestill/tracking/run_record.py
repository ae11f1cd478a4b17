"""The run record: all that a stage's execution said, so that a run lost or never seen can be told again anywhere.

It is a cached DVC out of its stage, `runs/<stage>.json`. No stage depends on one: it holds a run id and wall times.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from pipestill.choices import Choice
from pipestill.environment import Environment
from pipestill.records import Record

RECORDS = Path("runs")
MAX_ARTIFACT_BYTES = 1 << 20
"""A figure or text above this stays out of the record: the record is fetched by everyone who looks at the runs."""
MAX_ARTIFACTS_BYTES = 8 << 20
"""The same, for all artifacts of one record together."""

Status = Literal["FINISHED", "FAILED", "KILLED"]


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


NonFinite = Literal["nan", "inf", "-inf"]
Numbers = Annotated[tuple[float | NonFinite, ...], BeforeValidator(_as_tuple)]
"""Numbers of which some may be no number: a loss that diverged is news, and JSON has no word for it."""


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

    `content_base64` is None where the file is too large for the record: then `md5` and `path` say where it was.
    """

    name: str
    size_bytes: int
    md5: str
    path: str | None
    content_base64: str | None

    def content(self) -> bytes | None:
        """The bytes, or None if the record does not hold them."""
        return None if self.content_base64 is None else base64.b64decode(self.content_base64)


class RunRecord(Record):
    """One execution of one stage.

    `key` addresses what was asked for (cmd, md5 of deps, params); `execution_id` this one execution of it; `run_id` the
    MLflow run that was written live, None if there was no store to write to. `code` has the digest of every module that
    the stage is made of, by path (docs/decisions/0017); a record of an older run has none.
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
    """Where a stage's record lies, relative to the repository root: `@` and `/` become `-`."""
    return RECORDS / f"{file_stem(stage)}.json"


def file_stem(stage: str) -> str:
    """A stage's name as part of a file name."""
    return "".join(char if char.isalnum() or char in "._-" else "-" for char in stage)


def pack_number(value: float) -> float | NonFinite:
    """A number as JSON can hold it."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def pack_artifact(name: str, content: bytes, path: str | None, held_bytes: int) -> Artifact:
    """Describe an artifact, with its bytes if they fit.

    Args:
        name: its path below the run's artifacts.
        content: its bytes.
        path: where it lies in the repository, None if it lies nowhere.
        held_bytes: what the record's artifacts hold already.

    Returns:
        The artifact.
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
    """A section as dotted names and texts: members of a list of mappings by their number, another list as JSON."""
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
