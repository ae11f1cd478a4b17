"""Sync: make this store show the run of every stage in every dvc.lock, wherever it was run.

Each stage's run is linked if the store has it, completed if the store lost part of it, and replayed from its run record
if the store never saw it. Runs of dead processes are ended, and scratch folders of failed runs are removed after a
week. One pipeline run stands over the runs of each pipeline's stages. A second sync changes nothing.
"""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from filelock import FileLock

from pipestill.tracking import entities
from pipestill.tracking.identity import StageIdentity
from pipestill.tracking.live import Point, create_run, write_points
from pipestill.tracking.lock import MAIN, Lock, pipelines_with_lock, repository_of
from pipestill.tracking.pipeline_run import write_pipeline_run
from pipestill.tracking.run_record import RunRecord
from pipestill.tracking.scratch import SCRATCH, collect_scratch
from pipestill.tracking.store import Store, open_store
from pipestill.tracking.view import role_tags, write_view
from pipestill.tracking.writer import say


class Report(NamedTuple):
    """The outcome of a sync: stages by the action taken, the names of the runs it ended, pipelines not run here."""

    linked: list[str]
    completed: list[str]
    replayed: list[str]
    without_record: list[str]
    elsewhere: list[str]
    reaped: list[str]
    collected: list[str]
    pipeline_changed: bool

    def lines(self) -> list[str]:
        """Return the report as lines to print; stages whose run needed no action are only counted."""
        changed = "written" if self.pipeline_changed else "unchanged"
        shown = len(self.linked) + len(self.completed) + len(self.replayed)
        replayed = f", {len(self.replayed)} of them replayed from their records" if self.replayed else ""
        words = {
            "completed": self.completed,
            "without a run or a record": self.without_record,
            "ended, their process being dead": self.reaped,
            "scratch folder(s) of a week ago removed": self.collected,
        }
        named = [f"{len(names)} {word}: {', '.join(names)}" for word, names in words.items() if names]
        elsewhere = [f"not run here: the pipeline(s) {', '.join(self.elsewhere)}"] if self.elsewhere else []
        return [f"{shown} stages' runs are in MLflow{replayed}; pipeline run {changed}", *named, *elsewhere]


def sync(root: Path) -> Report:
    """Bring the store in line with the dvc.lock of every pipeline.

    Args:
        root: root of the repository, or a folder in it.

    Returns:
        The stages by the action taken, and the runs ended.

    Raises:
        RecordError: dvc.lock is missing.
        StoreError: the store cannot be reached.
    """
    root = repository_of(root)
    locks = [Lock(root, pipeline) for pipeline in pipelines_with_lock(root) or [MAIN]]
    records = [lock.records() for lock in locks]
    store = open_store(root, patient=True)
    (root / SCRATCH).mkdir(exist_ok=True)
    with FileLock(root / SCRATCH / "sync.lock"):
        outcomes: dict[str, list[str]] = {"linked": [], "completed": [], "replayed": [], "without_record": []}
        states = []
        elsewhere = []
        for lock, known in zip(locks, records, strict=True):
            run_ids, settled = _settle_all(store, lock, known)
            if lock.pipeline != MAIN and not run_ids:
                elsewhere.append(lock.pipeline.name)
                continue
            states.append((lock, known, run_ids))
            for outcome, stages in settled.items():
                outcomes[outcome] += stages
        reaped = reap(store)
        written = [write_pipeline_run(store, *state) for state in states]
        write_view(store)
        collected = collect_scratch(root / SCRATCH)
    return Report(**outcomes, elsewhere=elsewhere, reaped=reaped, collected=collected, pipeline_changed=any(written))


def _settle_all(store: Store, lock: Lock, records: dict[str, RunRecord]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Make sure that each stage of a pipeline has its run; return the runs' ids, and the stages by action."""
    run_ids: dict[str, str] = {}
    outcomes: dict[str, list[str]] = {}
    for made in lock.stages:
        stage = made.identity.stage
        outcome, run_id = _settle(store, made.identity, records.get(stage))
        outcomes.setdefault(outcome, []).append(stage)
        if run_id:
            run_ids[stage] = run_id
    return run_ids, outcomes


def _settle(store: Store, identity: StageIdentity, record: RunRecord | None) -> tuple[str, str | None]:
    """Make sure that one stage has its run; return the action and the run's id."""
    if record is None:
        found = search(store, f"tags.`dvc.key` = '{identity.key}' AND attributes.status = 'FINISHED'")
        return ("linked", found[0].info.run_id) if found else ("without_record", None)
    found = search(store, f"tags.`dvc.execution` = '{record.execution_id}'")
    if not found:
        return "replayed", replay(store, record)
    run = found[0]
    # DVC writes dvc.lock after the stage's process has ended, on whatever machine: a run still open was cut off.
    if run.info.status == record.status:
        return "linked", run.info.run_id
    return "completed", replay(store, record, run)


def replay(store: Store, record: RunRecord, partial: Any = None) -> str:  # noqa: ANN401 (mlflow's Run)
    """Write a recorded run to the store; values already there are overwritten with equal ones.

    Args:
        store: the MLflow store to write to.
        record: record of the run.
        partial: id of an incomplete run to complete; None to create one.

    Returns:
        The id of the run.
    """
    identity = StageIdentity(stage=record.stage, cmd=record.cmd, deps=record.deps, params=record.dvc_params)
    tags = entities.content_tags(identity, record.execution_id, record.git_commit, record.git_dirty, record.experiment)
    tags |= {"dvc.key": record.key, "dvc.replayed": "true"} | role_tags(record.metrics)
    if partial is None:
        run_id = create_run(store, record.stage, record.start_time_ms, tags, record.params)
    else:
        run_id = str(partial.info.run_id)
        entities.write_tags(store, run_id, tags)
    write_points(store, run_id, points_of(record))
    entities.write_choices(store, run_id, record.choices)
    for dataset in record.datasets:
        entities.write_dataset(store, run_id, dataset)
    if partial is None or not (partial.outputs and partial.outputs.model_outputs):
        for model in record.models:
            entities.write_model(store, run_id, model)
    for artifact in record.artifacts:
        content = artifact.content()
        if content is not None:
            entities.write_artifact(store, run_id, artifact.name, content)
    entities.write_environment(store, run_id, record.environment)
    entities.write_outs(store, run_id, record.outs)
    store.client.set_terminated(run_id, record.status, record.end_time_ms)
    return run_id


def points_of(record: RunRecord) -> list[Point]:
    """List every value in a record's metrics."""
    return [
        Point(name, float(value), step, time_ms)
        for name, history in record.metrics.items()
        for value, step, time_ms in zip(history.values, history.steps, history.times_ms, strict=True)
    ]


def reap(store: Store) -> list[str]:
    """End the runs whose process on this machine is dead, and return their names.

    A run of another machine is left alone: whether its process lives cannot be seen from here.
    """
    reaped = []
    for run in search(store, "attributes.status = 'RUNNING'"):
        if "process.id" in run.data.tags and not _writer_lives(run):
            store.client.set_tag(run.info.run_id, "error", "the process died, as after kill -9")
            store.client.set_terminated(run.info.run_id, "KILLED")
            reaped.append(str(run.info.run_name))
    return reaped


def _writer_lives(run: Any) -> bool:  # noqa: ANN401 (mlflow's Run)
    """Return whether the process that writes a run may still be alive."""
    tags = run.data.tags
    if run.info.status != "RUNNING" or "process.id" not in tags:
        return False
    if tags.get("process.host") != platform.node():
        return True
    try:
        process = psutil.Process(int(tags["process.id"]))
        return process.status() != psutil.STATUS_ZOMBIE and f"{process.create_time():.2f}" == tags["process.started"]
    except psutil.Error:
        return False


def search(store: Store, where: str) -> list[Any]:
    """Find all runs of the experiment that fit a filter, oldest first."""
    found: list[Any] = []
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id], where, order_by=["attributes.start_time ASC"], page_token=token
        )
        found.extend(page)
        token = page.token
        if not token:
            return found


def run_sync(root: Path, tell: Callable[[str], None] = say) -> Report:
    """Run a sync, and print its report."""
    report = sync(root)
    for line in report.lines():
        tell(line)
    return report
