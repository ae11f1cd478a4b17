"""The view of the runs that the UI opens with: its columns, order, filter and charts, and the link that leads to it.

MLflow's runs page reads a saved view from a tag of the experiment, `mlflow.sharedViewState.<key>`, when its address has
`viewStateShareKey=<key>`. The tag is JSON with the names that the page itself uses; they are those of MLflow 3.17. A
name that another version does not know is ignored by it.
"""

import json
from collections.abc import Collection
from typing import Literal, TypedDict

from pipestill.tracking.store import Store

KEY = "results"
TAG = f"mlflow.sharedViewState.{KEY}"
ROLE = "role"
"""The tag of the runs that the view lists: `pipeline` or `training`. Other stages' runs have none."""
LOSS = "train.loss"
"""The curve by which a run is known as a training."""
RESULT_TAG = "result"
"""The tag that names the file, `<model>/<form>`, whose figures a run has as `result/<figure>`."""
COLUMNS = {
    f"tags.`{RESULT_TAG}`": 170,
    "metrics.`result/accuracy`": 120,
    "metrics.`result/accuracy_lower`": 165,
    "metrics.`result/accuracy_upper`": 165,
    "metrics.`result/retention`": 130,
    "metrics.`result/size_mb`": 115,
    "metrics.`result/p50_ms`": 115,
    f"metrics.`{LOSS}`": 100,
}
"""The columns beside the run's name, from left to right, and their widths in pixels."""
FIXED_COLUMNS = {"attributes.`Run Name`": 240, "runDateAndNestInfo": 130}
"""The run's name and the time it was created, which the page always shows."""


class Section(TypedDict):
    """A section of the charts page; `isReordered` keeps its charts in the order given."""

    uuid: str
    name: str
    display: bool
    isReordered: bool


class Axis(TypedDict):
    """An axis of a scatter chart."""

    key: str
    type: Literal["METRIC"]


class _Card(TypedDict):
    """A chart of any kind. `isGenerated` is false: a generated chart is replaced by the page as it sees fit."""

    uuid: str
    metricSectionId: str
    displayName: str
    isGenerated: bool
    deleted: bool


class MetricChart(_Card):
    """One metric: a curve for each run, or a bar."""

    type: Literal["LINE", "BAR"]
    metricKey: str


class ScatterChart(_Card):
    """Two metrics against each other, a point for each run."""

    type: Literal["SCATTER"]
    xaxis: Axis
    yaxis: Axis


class ViewState(TypedDict):
    """All that the view sets; the page has defaults for the rest.

    MLflow drops `runsExpanded` and `runsVisibilityMap` from a saved view: nothing can be set for single runs.
    """

    searchFilter: str
    orderByKey: str
    orderByAsc: bool
    selectedColumns: list[str]
    columnOrder: list[str]
    columnWidths: dict[str, int]
    runsHiddenMode: Literal["SHOW_ALL"]
    isAccordionReordered: bool
    compareRunSections: list[Section]
    compareRunCharts: list[MetricChart | ScatterChart]


CURVES = {LOSS: "training loss", "dev.accuracy": "accuracy on dev", "dev.nll_nats": "loss on dev (nats)"}
CHAMPION = {
    "champion/test.accuracy": "accuracy",
    "champion/test.retention": "retention",
    "champion/size_bytes": "size (bytes)",
    "champion/p50_ms": "p50 (ms)",
}


def view_state() -> ViewState:
    """The view: the runs of pipelines, each above the trainings that ended before it, and charts of both."""
    return {
        "searchFilter": f"tags.{ROLE} != ''",
        # By any other order than that of creation, which the page nests: a saved view cannot open a pipeline's run, and
        # the charts would not see the trainings. A pipeline's run ends with its last stage, so it is above the others.
        "orderByKey": "attributes.end_time",
        "orderByAsc": False,
        "selectedColumns": list(COLUMNS),
        "columnOrder": [*FIXED_COLUMNS, *COLUMNS],
        "columnWidths": FIXED_COLUMNS | COLUMNS,
        "runsHiddenMode": "SHOW_ALL",  # the charts leave out all but ten runs otherwise
        "isAccordionReordered": True,  # or the page sorts the sections by their names
        "compareRunSections": [
            _section("curves", "Curves of the trainings"),
            _section("champion", "The champion over the pipeline's runs"),
            _section("results", "Pipeline's runs and students"),
        ],
        "compareRunCharts": [
            *(_chart("LINE", "curves", metric, title) for metric, title in CURVES.items()),
            *(_chart("BAR", "champion", metric, title) for metric, title in CHAMPION.items()),
            _scatter("results", ("result/size_mb", "result/accuracy"), "accuracy over size (MB)"),
            _scatter("results", ("result/p50_ms", "result/accuracy"), "accuracy over p50 (ms)"),
            _chart("BAR", "results", "result/retention", "retention"),
        ],
    }


def _section(uuid: str, name: str) -> Section:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True}


def _card(section: str, uuid: str, title: str) -> _Card:
    return {"uuid": uuid, "metricSectionId": section, "displayName": title, "isGenerated": False, "deleted": False}


def _chart(kind: Literal["LINE", "BAR"], section: str, metric: str, title: str) -> MetricChart:
    return {**_card(section, metric, title), "type": kind, "metricKey": metric}


def _scatter(section: str, metrics: tuple[str, str], title: str) -> ScatterChart:
    x, y = metrics
    axes: tuple[Axis, Axis] = ({"key": x, "type": "METRIC"}, {"key": y, "type": "METRIC"})
    return {**_card(section, f"{y} over {x}", title), "type": "SCATTER", "xaxis": axes[0], "yaxis": axes[1]}


def role_tags(metrics: Collection[str]) -> dict[str, str]:
    """The tag that puts a stage's run into the view, if it has the curve of a training."""
    return {ROLE: "training"} if LOSS in metrics else {}


def write_view(store: Store) -> bool:
    """Keep the view with the experiment; returns whether it was not there as it is now."""
    text = json.dumps(view_state(), separators=(",", ":"))
    if store.client.get_experiment(store.experiment_id).tags.get(TAG) == text:
        return False
    store.client.set_experiment_tag(store.experiment_id, TAG, text)
    return True


def view_link(server: str, experiment_id: str) -> str:
    """The address of the view; the type of workflow keeps a fresh browser off the pages for prompts and agents.

    No filter and no order may stand in it: the page takes the saved ones only where the address has none.
    """
    page = f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs"
    return f"{page}?workflowType=machine_learning&viewStateShareKey={KEY}"
