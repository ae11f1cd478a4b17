"""The pipeline run: one run over the stages' runs, with the whole table, for each state that a dvc.lock has been in.

mlflow knows one parent only, so a stage's run that two states share stands under the newer one; the older one keeps
naming it in its tags.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipestill.defaults import with_defaults
from pipestill.tracking import entities
from pipestill.tracking.identity import git_state
from pipestill.tracking.live import Point, create_run, now_ms, safe_name, write_params, write_points
from pipestill.tracking.lock import MAIN, Lock
from pipestill.tracking.results import Row, champion_of, result_points, row_of, subject, table_points
from pipestill.tracking.run_record import RunRecord, flatten
from pipestill.tracking.store import Store
from pipestill.tracking.view import RESULT_TAG, ROLE, role_tags

REPORTS = Path("reports")
"""The folder of the main pipeline's reports; every other pipeline has a subfolder."""
SUMMARY = "summary.json"
TABLES = ("table.md", "ablation.md")
"""The report that becomes the description on the run's page."""
DATA_STAGE = "prepare"
"""The stage whose data sets are the pipeline's."""
WALL_TIMES = "wall_times.csv"
REPORTS_TAG = "dvc.reports"
RESULT_OF_TAG = "dvc.result_of"
"""The tag of a training's run that names the pipeline run its result was taken from."""
LAYOUT = "result/"
"""Written with the number of reports: a run of an earlier layout gets its table's metrics anew."""
KEPT_COMMITS = 100
"""The most commits with the same dvc.lock to name, newest first: a tag holds 8,000 characters."""
PARENT_TAG = "mlflow.parentRunId"


def write_pipeline_run(store: Store, lock: Lock, records: dict[str, RunRecord], run_ids: dict[str, str]) -> bool:
    """Write the pipeline run of dvc.lock's state and hang the stages' runs below it.

    Args:
        store: the MLflow store to write to.
        lock: the pipeline's dvc.lock.
        records: the run records that could be read, by stage.
        run_ids: ids of the stages' runs, by stage.

    Returns:
        True if anything was written.
    """
    found = find_pipeline_run(store, lock)
    changed = found is None
    if found:
        run_id, tags = str(found.info.run_id), dict(found.data.tags)
    else:
        run_id, tags = _create(store, lock, records), {}
    wanted = {f"dvc.run/{stage}": child for stage, child in run_ids.items()} | _commit_tags(lock, tags)
    wanted |= {"pipeline": lock.pipeline.name or "main", ROLE: "pipeline"}
    folder = REPORTS / lock.pipeline.name
    # Before all else that has metrics: MLflow lists a run's metrics in the order in which they were written first.
    if tags.get(REPORTS_TAG) != f"{LAYOUT}{len(lock.files(folder))}":
        wanted |= _write_reports(store, run_id, lock.contents(folder), _end_time_ms(records))
    # Records can be out of reach for a while, and the table is whole only with all of them.
    if tags.get("dvc.records") != str(len(records)):
        _write_table(store, run_id, records)
        wanted["dvc.records"] = str(len(records))
    changed |= _write_missing_tags(store, run_id, tags, wanted)
    for stage, child in run_ids.items():
        changed |= _hang_below(store, run_id, child, lock, records.get(stage))
    return changed


def _write_missing_tags(store: Store, run_id: str, tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Write the tags that a run does not have as wanted; returns whether there were any."""
    missing = {name: value for name, value in wanted.items() if tags.get(safe_name(name)) != value}
    if missing:
        entities.write_tags(store, run_id, missing)
    return bool(missing)


def _hang_below(store: Store, parent: str, child: str, lock: Lock, record: RunRecord | None) -> bool:
    """Make a stage's run a child of the pipeline run, and log the report's figures of the model it trained."""
    tags = store.client.get_run(child).data.tags
    wanted = {PARENT_TAG: parent}
    if record is not None and role_tags(record.metrics):
        wanted |= role_tags(record.metrics)
        if tags.get(RESULT_OF_TAG) != parent:
            wanted |= _write_result(store, parent, child, lock, record)
    return _write_missing_tags(store, child, tags, wanted)


def _write_result(store: Store, parent: str, child: str, lock: Lock, record: RunRecord) -> dict[str, str]:
    """Log a model's figures on the run that trained it; return the tags that note this, empty without a report."""
    folder = REPORTS / lock.pipeline.name
    content = lock.contents(folder).get(SUMMARY) if SUMMARY in lock.files(folder) else None
    summary: Row = json.loads(content) if content else {}
    for model in record.models:
        row = row_of(summary, model.name)
        if row is not None:
            write_points(store, child, result_points(row, now_ms()))
            return {RESULT_TAG: subject(row), RESULT_OF_TAG: parent}
    return {}


def find_pipeline_run(store: Store, lock: Lock) -> Any:  # noqa: ANN401 (mlflow's Run)
    """Find the pipeline run of this dvc.lock; None before its first sync."""
    found = store.client.search_runs([store.experiment_id], f"tags.`dvc.pipeline` = '{lock.key}'")
    return found[0] if found else None


def _create(store: Store, lock: Lock, records: dict[str, RunRecord]) -> str:
    start_time_ms = min((record.start_time_ms for record in records.values()), default=0) or now_ms()
    tags = {"dvc.pipeline": lock.key, "mlflow.source.name": "dvc repro", "mlflow.source.type": "JOB"}
    return create_run(store, f"{_kind(lock)} {lock.key[:8]}", start_time_ms, tags, {})


def _kind(lock: Lock) -> str:
    return "pipeline" if lock.pipeline == MAIN else f"pipeline {lock.pipeline.name}"


def _write_table(store: Store, run_id: str, records: dict[str, RunRecord]) -> None:
    """Write the params and wall times of all stages; values already there stay."""
    write_params(store, run_id, params_of(records))
    if records:
        entities.write_artifact(store, run_id, WALL_TIMES, wall_times(records).encode())
        total_s = sum(record.wall_time_s for record in records.values())
        write_points(store, run_id, [Point("wall_time_s", total_s, 0, _end_time_ms(records))])
    for dataset in records[DATA_STAGE].datasets if DATA_STAGE in records else ():
        entities.write_dataset(store, run_id, dataset)
    store.client.set_terminated(run_id, "FINISHED", _end_time_ms(records))


def params_of(records: Mapping[str, RunRecord]) -> dict[str, str]:
    """Return the params of all stages by dotted name, those of a student merged with the defaults."""
    params: dict[str, str] = {}
    for record in records.values():
        for values in record.dvc_params.values():
            params |= flatten(with_defaults(values))
    return params


def wall_times(records: Mapping[str, RunRecord]) -> str:
    """Return a table of each stage's start (UTC) and duration, in order of start, in the form that MLflow shows."""
    lines = ["stage,started,wall_time_s"]
    for stage, record in sorted(records.items(), key=lambda item: (item[1].start_time_ms, item[0])):
        started = datetime.fromtimestamp(record.start_time_ms / 1000, UTC)
        lines.append(f"{stage},{started:%Y-%m-%d %H:%M:%S},{record.wall_time_s}")
    return "\n".join([*lines, ""])


def _end_time_ms(records: dict[str, RunRecord]) -> int:
    """Return when the last stage ended, or the present time without a record."""
    return max((record.end_time_ms for record in records.values()), default=0) or now_ms()


def _commit_tags(lock: Lock, tags: dict[str, str]) -> dict[str, str]:
    """Return tags of the commits that hold exactly this dvc.lock, the newest as the run's own; empty without one."""
    commit, _ = git_state(lock.root)
    if commit is None or not lock.is_committed():
        return {}
    known = tags.get("git.commits", "").split()
    if commit in known:
        return {}
    named = {} if known else {"git.commit": commit, "mlflow.runName": f"{_kind(lock)} {commit[:8]}"}
    return named | {"git.commits": " ".join([*known, commit][-KEPT_COMMITS:])}


def _write_reports(store: Store, run_id: str, reports: dict[str, bytes], time_ms: int) -> dict[str, str]:
    """Copy the reports to the run's page, the table as its description; return the tags that note this."""
    tags = {REPORTS_TAG: f"{LAYOUT}{len(reports)}"} if reports else {}
    for name, content in reports.items():
        entities.write_artifact(store, run_id, name, content)
        if name == SUMMARY:
            summary = json.loads(content)
            write_points(store, run_id, table_points(summary, time_ms))
            champion = champion_of(summary)
            tags["champion"] = champion_tag(summary.get("selection") or {})
            if champion:
                tags[RESULT_TAG] = champion
        elif name in TABLES:
            tags["mlflow.note.content"] = content.decode()
    return tags


def champion_tag(selection: dict[str, Any]) -> str:
    """Return the champion's name; without one `none`, the nearest candidate and the constraints it misses."""
    if selection.get("champion"):
        return str(selection["champion"])
    nearest = selection.get("packaged")
    return f"none; nearest: {nearest}, misses {', '.join(selection.get('missed', []))}" if nearest else "none"
