"""The pipeline run: one run over the stages' runs, with the whole table, for each state that a dvc.lock has been in.

mlflow knows one parent only, so a stage's run that two states share stands under the newer one; the older one keeps
naming it in its tags.
"""

import json
from pathlib import Path
from typing import Any

from pipestill.tracking import entities
from pipestill.tracking.identity import git_state
from pipestill.tracking.live import Point, create_run, now_ms, safe_name, write_params, write_points
from pipestill.tracking.lock import MAIN, Lock
from pipestill.tracking.run_record import RunRecord, flatten
from pipestill.tracking.store import Store

REPORTS = Path("reports")
"""The main pipeline's reports; each other pipeline has a folder of its own in there."""
SUMMARY = "summary.json"
TABLES = ("table.md", "ablation.md")
"""The report that stands on the run's page as its description."""
DATA_STAGE = "prepare"
"""The stage whose data sets are the pipeline's."""
FIGURES = {
    "test.accuracy": ("test", "accuracy", "value"),
    "test.macro_f1": ("test", "macro_f1", "value"),
    "test.agreement": ("test", "agreement", "value"),
    "test.retention": ("test", "retention", "value"),
    "test.ece": ("test", "ece"),
    "size_bytes": ("size_bytes",),
    "p50_ms": ("speed", "p50_ms"),
    "model_p50_ms": ("speed", "model_p50_ms"),
    "speedup_over_teacher_torch": ("speed", "speedup_over_teacher_torch"),
    "speedup_over_teacher_int8": ("speed", "speedup_over_teacher_int8"),
}
"""The table's columns, and where they stand in a row of the summary. The UI makes a section of what is before the `/`,
so a figure's values lie side by side for all models; the other numbers are in summary.json and on the stages' runs.
"""
NOT_SHOWN = "torch"
"""Students are used as ONNX files; the teacher's PyTorch form is what they are measured against."""
TEACHER = "teacher"
KEPT_COMMITS = 100
"""How many commits with the same dvc.lock are named, the newest: a tag holds 8,000 characters."""
PARENT_TAG = "mlflow.parentRunId"


def write_pipeline_run(store: Store, lock: Lock, records: dict[str, RunRecord], run_ids: dict[str, str]) -> bool:
    """Write the pipeline run of dvc.lock's state and hang the stages' runs below it.

    Args:
        store: where to.
        lock: the state.
        records: the run records at hand, by stage.
        run_ids: the stages' runs, by stage.

    Returns:
        Whether anything had to be written.
    """
    found = find_pipeline_run(store, lock)
    changed = found is None
    if found:
        run_id, tags = str(found.info.run_id), dict(found.data.tags)
    else:
        run_id, tags = _create(store, lock, records), {}
    wanted = {f"dvc.run/{stage}": child for stage, child in run_ids.items()} | _commit_tags(lock, tags)
    wanted["pipeline"] = lock.pipeline.name or "main"
    # Records can be out of reach for a while, and the table is whole only with all of them.
    if tags.get("dvc.records") != str(len(records)):
        _write_table(store, run_id, records)
        wanted["dvc.records"] = str(len(records))
    folder = REPORTS / lock.pipeline.name
    if tags.get("dvc.reports") != str(len(lock.files(folder))):
        wanted |= _write_reports(store, run_id, lock.contents(folder), _end_time_ms(records))
    wanted = {name: value for name, value in wanted.items() if tags.get(safe_name(name)) != value}
    if wanted:
        entities.write_tags(store, run_id, wanted)
    for child in run_ids.values():
        if store.client.get_run(child).data.tags.get(PARENT_TAG) != run_id:
            store.client.set_tag(child, PARENT_TAG, run_id)
            changed = True
    return changed or bool(wanted)


def find_pipeline_run(store: Store, lock: Lock) -> Any:  # noqa: ANN401 (mlflow's Run)
    """The pipeline run of dvc.lock's state; None before the first sync of it."""
    found = store.client.search_runs([store.experiment_id], f"tags.`dvc.pipeline` = '{lock.key}'")
    return found[0] if found else None


def _create(store: Store, lock: Lock, records: dict[str, RunRecord]) -> str:
    start_time_ms = min((record.start_time_ms for record in records.values()), default=0) or now_ms()
    tags = {"dvc.pipeline": lock.key, "mlflow.source.name": "dvc repro", "mlflow.source.type": "JOB"}
    return create_run(store, f"{_kind(lock)} {lock.key[:8]}", start_time_ms, tags, {})


def _kind(lock: Lock) -> str:
    return "pipeline" if lock.pipeline == MAIN else f"pipeline {lock.pipeline.name}"


def _write_table(store: Store, run_id: str, records: dict[str, RunRecord]) -> None:
    """Write the params of all stages and how long each took; what is there already stays as it is."""
    params: dict[str, str] = {}
    points = []
    for stage, record in records.items():
        for values in record.dvc_params.values():
            params |= flatten(values)
        points.append(Point(f"wall_time_s/{stage}", record.wall_time_s, 0, record.end_time_ms))
    write_params(store, run_id, params)
    write_points(store, run_id, points)
    for dataset in records[DATA_STAGE].datasets if DATA_STAGE in records else ():
        entities.write_dataset(store, run_id, dataset)
    store.client.set_terminated(run_id, "FINISHED", _end_time_ms(records))


def _end_time_ms(records: dict[str, RunRecord]) -> int:
    """When the last stage ended; now, where no record is at hand."""
    return max((record.end_time_ms for record in records.values()), default=0) or now_ms()


def _commit_tags(lock: Lock, tags: dict[str, str]) -> dict[str, str]:
    """The commits that hold this very dvc.lock, the newest as the run's own, once it is committed."""
    commit, _ = git_state(lock.root)
    if commit is None or not lock.is_committed():
        return {}
    known = tags.get("git.commits", "").split()
    if commit in known:
        return {}
    named = {} if known else {"git.commit": commit, "mlflow.runName": f"{_kind(lock)} {commit[:8]}"}
    return named | {"git.commits": " ".join([*known, commit][-KEPT_COMMITS:])}


def _write_reports(store: Store, run_id: str, reports: dict[str, bytes], time_ms: int) -> dict[str, str]:
    """Put the reports on the run's page, the table as its description; returns the tags that say so."""
    tags = {"dvc.reports": str(len(reports))} if reports else {}
    for name, content in reports.items():
        entities.write_artifact(store, run_id, name, content)
        if name == SUMMARY:
            summary = json.loads(content)
            write_points(store, run_id, table_points(summary, time_ms))
            tags["champion"] = champion_tag(summary.get("selection") or {})
        elif name in TABLES:
            tags["mlflow.note.content"] = content.decode()
    return tags


def champion_tag(selection: dict[str, Any]) -> str:
    """The champion's name; without one `none`, with the nearest candidate and the constraints that it misses."""
    if selection.get("champion"):
        return str(selection["champion"])
    nearest = selection.get("packaged")
    return f"none; nearest: {nearest}, misses {', '.join(selection.get('missed', []))}" if nearest else "none"


def table_points(summary: dict[str, Any], time_ms: int) -> list[Point]:
    """The table as metrics, `<figure>/<model>.<form>`, and the champion's figures once more as `champion/<figure>`."""
    selection = summary.get("selection") or {}
    chosen_by = f"dev.{selection.get('metric')}"
    figures = {chosen_by: ("dev", str(selection.get("metric")), "value")} | FIGURES
    points = []
    for row in summary.get("rows", []):
        model, variant = row["model"], row["variant"]
        if variant == NOT_SHOWN and model != TEACHER:
            continue
        for figure, path in figures.items():
            value = _number(row, path)
            if value is None:
                continue
            points.append(Point(f"{figure}/{model}.{variant}", value, 0, time_ms))
            if f"{model}/{variant}" == selection.get("champion"):
                points.append(Point(f"champion/{figure}", value, 0, time_ms))
    return points


def _number(row: dict[str, Any], path: tuple[str, ...]) -> float | None:
    """The number at a place of a row; None where the row has none there."""
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else float(value)
