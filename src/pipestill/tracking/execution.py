"""One execution of a stage: it logs to the live MLflow run at once, and to the run record at the end."""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipestill.choices import Choice
from pipestill.code.lists import read_code_lists
from pipestill.environment import read_environment
from pipestill.fingerprint import sha256_json
from pipestill.records import write_json
from pipestill.redaction import redacted
from pipestill.tracking import entities
from pipestill.tracking.folders import check_folders
from pipestill.tracking.identity import StageIdentity, Workspace, current_stage, git_state, home, name_in
from pipestill.tracking.inputs import refuse_changed
from pipestill.tracking.live import Arguments, Opening, Point, now_ms
from pipestill.tracking.process import StageTerminatedError
from pipestill.tracking.run_record import (
    Artifact,
    DatasetInfo,
    MetricHistory,
    ModelInfo,
    RunRecord,
    Status,
    file_stem,
    flatten,
    pack_artifact,
    pack_number,
    record_path,
)
from pipestill.tracking.scratch import SCRATCH, claim_scratch
from pipestill.tracking.start import AnyRun, is_live, start_live_run
from pipestill.tracking.store import Store
from pipestill.tracking.view import role_tags
from pipestill.tracking.writer import say


class StageRun:
    """The object that a stage logs to. A fault of tracking is printed as a warning and never raised.

    Attributes:
        stage: the stage's name, such as `distill@bert_l3`.
        scratch: a folder for checkpoints. It survives a kill, and is found again when the same request (cmd, deps and
            params) runs again; it is removed on success.
    """

    def __init__(self, stage: str, scratch: Path) -> None:
        self.stage = stage
        self.scratch = scratch
        self.live: AnyRun | None = None
        self.workspace: Workspace | None = None
        self.points: list[Point] = []
        self.artifacts: list[Artifact] = []
        self.datasets: list[DatasetInfo] = []
        self.models: list[ModelInfo] = []
        self.choices: list[Choice] = []
        self._role: dict[str, str] = {}

    def log_metrics(self, metrics: Mapping[str, float], *, step: int | None = None) -> None:
        """Log numbers, at a step of a curve or once.

        Args:
            metrics: values by name; the name carries the unit.
            step: position on the curve; None for a number without a curve.
        """
        now = now_ms()
        points = [Point(name, float(value), step or 0, now) for name, value in metrics.items()]
        if not self._role:
            self._role = role_tags(metrics)
            if self._role:
                self.submit(entities.write_tags, self._role)
        self.points.extend(points)
        if self.live:
            self.live.add_points(points)

    def log_choices(self, choices: Sequence[Choice]) -> None:
        """Log the `auto` settings of params.yaml: the value used, and the reason."""
        self.choices.extend(choices)
        self.submit(entities.write_choices, choices)

    def log_text(self, name: str, text: str) -> None:
        """Show a text on the run's page; `name` is its file name, such as `card.md`."""
        self._add_artifact(name, text.encode(), None)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Show a small file on the run's page, below `folder`. Models and data are not copied: see log_model."""
        self._add_artifact(f"{folder}/{path.name}" if folder else path.name, path.read_bytes(), path.as_posix())

    def log_dataset(self, name: str, path: Path, context: str) -> None:
        """Log a data set as an input of the run; its digest is DVC's md5 of `path` as it is now.

        Args:
            name: name of the data set in the UI.
            path: file or folder of the data set.
            context: the purpose it is read for: training, evaluation, ...
        """
        md5 = self._md5(path)
        if md5:
            dataset = DatasetInfo(name=name, path=path.as_posix(), context=context, md5=md5)
            self.datasets.append(dataset)
            self.submit(entities.write_dataset, dataset)

    def log_model(self, name: str, folder: Path) -> None:
        """Log a model as an output of the run, by DVC's md5 of `folder`. No weights are copied."""
        md5 = self._md5(folder)
        if md5:
            model = ModelInfo(name=name, path=folder.as_posix(), md5=md5)
            self.models.append(model)
            self.submit(entities.write_model, model)

    def _add_artifact(self, name: str, content: bytes, path: str | None) -> None:
        held = sum(artifact.size_bytes for artifact in self.artifacts if artifact.content_base64 is not None)
        self.artifacts.append(pack_artifact(name, content, path, held))
        self.submit(entities.write_artifact, name, content)

    def submit(self, operation: Callable[[Store, str, *Arguments], object], *arguments: *Arguments) -> None:
        """Queue an operation for the live run, if there is one; used inside this package only."""
        if self.live:
            self.live.submit(operation, *arguments)

    def _md5(self, path: Path) -> str | None:
        workspace = self.workspace
        return _quietly(lambda: workspace.md5(path), None) if workspace else None


@contextmanager
def stage_run(params: BaseModel | Mapping[str, object]) -> Iterator[StageRun]:
    """Track one execution of the stage that DVC is running.

    The block's end is the run's end: FINISHED, FAILED on an exception or a non-zero exit, KILLED on Ctrl-C and SIGTERM.
    Outside of DVC, and in every rank but the first, nothing is tracked.

    Args:
        params: section of params.yaml that belongs to the stage.

    Yields:
        The object that the stage logs to.

    Raises:
        InputError: an input has other bytes than DVC says.
        RecordError: runs/ or .scratch/ is not a folder that can be written to.
    """
    check_folders()
    stage = current_stage()
    if stage is None or _rank() > 0:
        if stage is None:
            say("this stage was not started by DVC, so nothing is tracked")
        with _untracked(stage, params) as run:
            yield run
        return
    tracked = _Execution(stage, flatten(params))
    try:
        yield tracked.run
    except BaseException as error:
        tracked.end(error)
        raise
    tracked.end(None)


class _Execution:
    """A tracked execution from start to end."""

    def __init__(self, address: str, params: dict[str, str]) -> None:
        self.start_time_ms = now_ms()
        self.start_s = time.monotonic()
        self.execution_id = uuid.uuid4().hex
        self.params = params
        stage = name_in(address)
        workspace = _quietly(lambda: Workspace(address), None)
        # Without an identity this request cannot be told from another one: its scratch folder must not be reused.
        unknown = StageIdentity(stage=stage, cmd=self.execution_id, deps={}, params={"": dict(params)})
        self.identity = _quietly(workspace.identity, unknown) if workspace else unknown
        refuse_changed(_quietly(workspace.inputs, {}) if workspace else {})
        self.code = _quietly(lambda: read_code_lists(self.identity.deps), {})
        self.git_commit, self.git_dirty = git_state()
        scratch, self._scratch_lock = claim_scratch(home() / SCRATCH, stage, self.identity.key)
        self.run = StageRun(stage, scratch)
        self.run.workspace = workspace
        tags = (
            entities.content_tags(
                self.identity, self.execution_id, self.git_commit, self.git_dirty, os.environ.get("DVC_EXP_NAME")
            )
            | entities.process_tags()
        )
        if is_live():
            self.run.live = start_live_run(Opening(home(), stage, self.start_time_ms, tags, params))
        self.run.submit(entities.write_environment, read_environment())

    def end(self, error: BaseException | None) -> None:
        """Close the run and, on success, write the record and remove the scratch folder."""
        run, status, end_time_ms = self.run, status_of(error), now_ms()
        if status == "FINISHED":
            workspace = run.workspace
            outs = _quietly(lambda: workspace.outs(without=record_path(run.stage)), {}) if workspace else {}
            write_json(record_path(run.stage), self._record(status, outs, end_time_ms))
            shutil.rmtree(run.scratch, ignore_errors=True)
            run.submit(entities.write_outs, outs)
        else:
            run.submit(entities.write_tags, {"error": redacted(f"{type(error).__name__}: {error}")})
        self._scratch_lock.release()
        if run.live:
            run.live.close(status, end_time_ms)

    def _record(self, status: Status, outs: dict[str, str], end_time_ms: int) -> RunRecord:
        run = self.run
        return RunRecord(
            stage=run.stage,
            key=self.identity.key,
            execution_id=self.execution_id,
            run_id=run.live.run_id if run.live else None,
            status=status,
            cmd=self.identity.cmd,
            deps=self.identity.deps,
            code=self.code,
            outs=outs,
            dvc_params=self.identity.params,
            params=self.params,
            metrics=histories(run.points),
            datasets=tuple(run.datasets),
            models=tuple(run.models),
            choices=tuple(run.choices),
            artifacts=tuple(run.artifacts),
            git_commit=self.git_commit,
            git_dirty=self.git_dirty,
            experiment=os.environ.get("DVC_EXP_NAME"),
            environment=read_environment(),
            start_time_ms=self.start_time_ms,
            end_time_ms=end_time_ms,
            wall_time_s=round(time.monotonic() - self.start_s, 3),
        )


@contextmanager
def _untracked(stage: str | None, params: BaseModel | Mapping[str, object]) -> Iterator[StageRun]:
    name = stage or "no-stage"
    scratch = home() / SCRATCH / f"{file_stem(name)}-{sha256_json(flatten(params))[:16]}-{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    yield StageRun(name, scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def status_of(error: BaseException | None) -> Status:
    """Return the run status for an exception that leaves a stage; `sys.exit(0)` counts as success."""
    if error is None:
        return "FINISHED"
    if isinstance(error, KeyboardInterrupt | StageTerminatedError):
        return "KILLED"
    if isinstance(error, SystemExit) and error.code in {None, 0}:
        return "FINISHED"
    return "FAILED"


def histories(points: list[Point]) -> dict[str, MetricHistory]:
    """Group logged values by metric, in the order in which they were logged."""
    names = dict.fromkeys(point.name for point in points)
    by_name = {name: [point for point in points if point.name == name] for name in names}
    return {
        name: MetricHistory(
            steps=tuple(point.step for point in own),
            times_ms=tuple(point.time_ms for point in own),
            values=tuple(pack_number(point.value) for point in own),
        )
        for name, own in by_name.items()
    }


def _rank() -> int:
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0)


def _quietly(action: Callable[[], Any], otherwise: Any) -> Any:  # noqa: ANN401 (whatever the action gives)
    """Run a step of tracking; if it fails, print a warning and return `otherwise`."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 (tracking never fails a stage)
        say(f"{type(error).__name__}: {error}")
        return otherwise
