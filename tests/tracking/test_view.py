import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import mlflow
import pytest
from outcomes import write_outcome
from repositories import Repository

from pipestill.records import read_record
from pipestill.tracking import stage_run
from pipestill.tracking.lock import Lock
from pipestill.tracking.pipeline_run import write_pipeline_run
from pipestill.tracking.run_record import RunRecord, record_path
from pipestill.tracking.store import open_store
from pipestill.tracking.sync import replay, sync
from pipestill.tracking.view import COLUMNS, TAG, view_link, view_state, write_view

Enter = Callable[..., object]
MAX_TAG_CHARS = 5000
"""How long the value of an experiment's tag may be."""


def train(name: str, in_stage: Enter) -> RunRecord:
    """A stage that has the curve of a training and makes the model `small`, which only a stage of dvc.yaml can log."""
    in_stage(name)
    with stage_run({}) as run:
        run.log_metrics({"train.loss": 0.5}, step=1)
        run.log_metrics({"train.loss": 0.25}, step=2)
        run.log_model("small", Path("source.txt"))
    return read_record(record_path(name), RunRecord)


def test_the_link_leads_to_training_runs_in_the_saved_view() -> None:
    address = "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=results"
    assert view_link("http://127.0.0.1:5000/", "1") == address


def test_every_chart_has_its_section_and_every_column_its_place() -> None:
    state = view_state()
    sections = [section["uuid"] for section in state["compareRunSections"]]
    assert set(sections) == {chart["metricSectionId"] for chart in state["compareRunCharts"]}
    uuids = [chart["uuid"] for chart in state["compareRunCharts"]]
    assert len(set(uuids)) == len(uuids)
    assert state["columnOrder"][-len(COLUMNS) :] == state["selectedColumns"] == list(COLUMNS)
    assert len(json.dumps(state)) < MAX_TAG_CHARS


def test_mlflow_s_page_knows_every_name_of_the_view() -> None:
    """The page ignores in silence what it does not know: an upgrade of mlflow must not empty the view."""
    scripts = Path(mlflow.__file__).parent / "server/js/build/static/js"
    text = "".join(path.read_text() for path in scripts.glob("*.js"))
    names = {*view_state(), *chain.from_iterable(view_state()["compareRunCharts"])}
    quoted = {f'"{name}"' for name in view_state()} | {
        f".{name}=" for name in ("metricSectionId", "metricKey", "xaxis")
    }
    assert [
        name for name in [*names, *quoted, "mlflow.sharedViewState.", "viewStateShareKey"] if name not in text
    ] == []


def test_the_view_is_written_once_by_sync_and_again_when_it_changes(repository: Repository) -> None:
    write_outcome(repository.root)
    sync(repository.root)
    store = open_store(repository.root)
    tags = store.client.get_experiment(store.experiment_id).tags
    assert json.loads(tags[TAG]) == view_state()
    assert not write_view(store)
    store.client.set_experiment_tag(store.experiment_id, TAG, "{}")
    assert write_view(store)


def test_the_view_lists_a_pipeline_above_its_trainings_and_no_other_stage(
    repository: Repository, in_stage: Enter
) -> None:
    in_stage("prepare")
    with stage_run({}) as run:
        run.log_metrics({"num_rows": 30})
    trained = [train(name, in_stage) for name in ("finetune_teacher", "distill@small")]
    write_outcome(repository.root)
    sync(repository.root)
    store, state = open_store(repository.root), view_state()
    order = [f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"]
    found = store.client.search_runs([store.experiment_id], state["searchFilter"], order_by=order)
    (pipeline, *trainings) = [run.info.run_name for run in found]
    assert pipeline.startswith("pipeline ")
    assert trainings == ["distill@small", "finetune_teacher"]
    replayed = store.client.get_run(replay(store, trained[1]))
    assert replayed.data.tags["role"] == "training"


def test_a_student_s_run_has_the_report_s_figures_of_its_model(repository: Repository, in_stage: Enter) -> None:
    write_outcome(repository.root)
    sync(repository.root)
    record = train("first", in_stage)
    lock, store = Lock(repository.root), open_store(repository.root)
    state = ({"first": record}, {"first": str(record.run_id)})
    store.client.delete_tag(record.run_id, "role")  # as in a store from before there was one
    assert write_pipeline_run(store, lock, *state)
    student = store.client.get_run(record.run_id)
    assert (student.data.tags["result"], student.data.tags["role"]) == ("small/onnx_int8", "training")
    results = {name: value for name, value in student.data.metrics.items() if name.startswith("result/")}
    assert results == {
        "result/accuracy": 0.75,
        "result/accuracy_lower": 0.7,
        "result/accuracy_upper": 0.8,
        "result/p50_ms": 0.5,
        "result/size_mb": 0.0,  # of 9 bytes
    }
    (pipeline,) = repository.runs("tags.role = 'pipeline'")
    assert results.items() <= pipeline.data.metrics.items()
    assert not write_pipeline_run(store, lock, *state)


def test_a_training_in_progress_is_in_the_view(repository: Repository, in_stage: Enter) -> None:
    in_stage("distill@small")
    with stage_run({}) as run:
        run.log_metrics({"train.loss": 0.5}, step=1)
        for _ in range(200):
            found = repository.runs("tags.role = 'training'")
            if found:
                break
    assert [run.info.status for run in found] == ["RUNNING"]


@pytest.mark.parametrize("refused", [(), ("too slow",)])
def test_a_run_of_an_earlier_layout_gets_its_results(repository: Repository, refused: tuple[str, ...]) -> None:
    write_outcome(repository.root, refused=refused)
    sync(repository.root)
    (run,) = repository.runs()
    client = repository.client()
    client.set_tag(run.info.run_id, "dvc.reports", "2")
    client.delete_tag(run.info.run_id, "role")
    assert sync(repository.root).pipeline_changed
    (run,) = repository.runs()
    assert (run.data.tags["dvc.reports"], run.data.tags["role"]) == ("result/2", "pipeline")
    assert ("result" in run.data.tags) is (not refused)
    assert not sync(repository.root).pipeline_changed
