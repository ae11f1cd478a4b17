"""The saved view that the UI opens with: its columns, order, filter, charts and link.

MLflow's runs page reads a saved view from a tag of the experiment, `mlflow.sharedViewState.<key>`, when its address has
`viewStateShareKey=<key>`. The tag is JSON with the names that the page itself uses; they are those of MLflow 3.17.
Another version ignores names that it does not know.
"""

import json
from collections.abc import Collection
from typing import Literal, TypedDict

from pipestill.tasks import TASKS
from pipestill.tracking.store import Store

KEY = "results"
TAG = f"mlflow.sharedViewState.{KEY}"
ROLE = "role"
"""The tag of the runs that the view lists: `pipeline` or `training`. Other stages' runs have none."""
LOSS = "train.loss"
"""The metric whose presence marks a run as a training."""
RESULT_TAG = "result"
"""The tag that names the file, `<model>/<variant>`, whose figures a run has as `result/<figure>`."""
COLUMNS = {
    f"tags.`{RESULT_TAG}`": 225,
    **{
        f"metrics.`result/{task.primary.name}{end}`": width
        for task in TASKS.values()
        for end, width in (("", 120), ("_lower", 165), ("_upper", 165))
    },
    "metrics.`result/retention`": 120,
    "metrics.`result/size_mb`": 110,
    "metrics.`result/p50_ms`": 105,
}
"""The columns beside the run's name, from left to right, and their widths in pixels."""
FIXED_COLUMNS = {"attributes.`Run Name`": 230, "runDateAndNestInfo": 145}
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
    isGenerated: bool
    deleted: bool


class BarChart(_Card):
    """One metric, a bar for each run that has it."""

    type: Literal["BAR"]
    metricKey: str


class LineChart(_Card):
    """One metric, a curve for each run. Without the page's common smoothing, which is 0, a curve would be smoothed."""

    type: Literal["LINE"]
    metricKey: str
    useGlobalLineSmoothing: bool
    useGlobalXaxisKey: bool


class ScatterChart(_Card):
    """Two metrics against each other, a point for each run."""

    type: Literal["SCATTER"]
    xaxis: Axis
    yaxis: Axis


class ViewState(TypedDict):
    """The settings that the view saves; the page has defaults for the rest.

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
    compareRunCharts: list[LineChart | BarChart | ScatterChart]


PRIMARY = tuple(dict.fromkeys(task.primary.name for task in TASKS.values()))
"""Names of the primary measures of all tasks: pipelines of several tasks may share an experiment."""
CURVES = (LOSS, *(f"dev.{measure.name}" for task in TASKS.values() for measure in (task.primary, task.tie_breaker)))
CHAMPION = (
    *(f"champion/test.{name}" for name in PRIMARY),
    "champion/test.retention",
    "champion/size_bytes",
    "champion/p50_ms",
)


def view_state() -> ViewState:
    """Return the view: the runs of pipelines, each above the trainings that ended before it, and charts of both."""
    return {
        "searchFilter": f"tags.{ROLE} != ''",
        # The page nests runs ordered by creation, and a saved view cannot unfold them: the charts would miss the
        # trainings. Hence another order. A pipeline's run ends with its last stage, so it is above the others.
        "orderByKey": "attributes.`end_time`",
        "orderByAsc": False,
        "selectedColumns": list(COLUMNS),
        "columnOrder": [*FIXED_COLUMNS, *COLUMNS],
        "columnWidths": FIXED_COLUMNS | COLUMNS,
        "runsHiddenMode": "SHOW_ALL",  # the charts leave out all but ten runs otherwise
        "isAccordionReordered": True,  # or the page sorts the sections by their names
        "compareRunSections": [
            _section("curves", "Curves of the trainings"),
            _section("champion", "Champions of the pipelines"),
            _section("results", "Pipelines and students"),
        ],
        "compareRunCharts": [
            *(_line("curves", metric) for metric in CURVES),
            *(_bar("champion", metric) for metric in CHAMPION),
            *(
                _scatter("results", f"result/{cost}", f"result/{name}")
                for name in PRIMARY
                for cost in ("size_mb", "p50_ms")
            ),
            _bar("results", "result/retention"),
        ],
    }


def _section(uuid: str, name: str) -> Section:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True}


def _card(section: str, uuid: str) -> _Card:
    return {"uuid": uuid, "metricSectionId": section, "isGenerated": False, "deleted": False}


def _line(section: str, metric: str) -> LineChart:
    return {
        **_card(section, metric),
        "type": "LINE",
        "metricKey": metric,
        "useGlobalLineSmoothing": True,
        "useGlobalXaxisKey": True,
    }


def _bar(section: str, metric: str) -> BarChart:
    return {**_card(section, metric), "type": "BAR", "metricKey": metric}


def _scatter(section: str, x: str, y: str) -> ScatterChart:
    xaxis: Axis = {"key": x, "type": "METRIC"}
    yaxis: Axis = {"key": y, "type": "METRIC"}
    return {**_card(section, f"{y} over {x}"), "type": "SCATTER", "xaxis": xaxis, "yaxis": yaxis}


def role_tags(metrics: Collection[str]) -> dict[str, str]:
    """Return the tag that puts a training's run into the view; empty for other stages."""
    return {ROLE: "training"} if LOSS in metrics else {}


def write_view(store: Store) -> bool:
    """Save the view with the experiment; return whether it changed."""
    text = json.dumps(view_state(), separators=(",", ":"))
    if store.client.get_experiment(store.experiment_id).tags.get(TAG) == text:
        return False
    store.client.set_experiment_tag(store.experiment_id, TAG, text)
    return True


def view_link(server: str, experiment_id: str) -> str:
    """Return the address of the view; its workflow type keeps a fresh browser off the pages for prompts and agents.

    It must not hold a filter or an order, since the page would then ignore the saved ones.
    """
    page = f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs"
    return f"{page}?workflowType=machine_learning&viewStateShareKey={KEY}"
