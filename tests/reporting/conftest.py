"""One invented pipeline for all tests of reporting."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from invented_records import ENVIRONMENT, REPORT, make_evaluations, make_speeds, make_trainings

from pipestill.metrics.records import EvaluateRecord
from pipestill.reporting.plots import style
from pipestill.reporting.report import Report, make_report
from pipestill.reporting.summary import Summary, summarise


@pytest.fixture(scope="session", autouse=True)
def coarse_figures() -> Iterator[None]:
    """Figures of few pixels: drawing them is most of this room's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DOTS_PER_INCH", 40)
        yield


@pytest.fixture(scope="session")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of every model's predictions."""
    return tmp_path_factory.mktemp("invented")


@pytest.fixture(scope="session")
def evaluations(predictions: Path) -> list[EvaluateRecord]:
    return make_evaluations(predictions)


@pytest.fixture(scope="session")
def summary(evaluations: list[EvaluateRecord]) -> Summary:
    return summarise(evaluations, make_speeds(), ENVIRONMENT, REPORT)


@pytest.fixture(scope="session")
def report(evaluations: list[EvaluateRecord], predictions: Path) -> Report:
    """The whole report; its figures may be written, not changed."""
    return make_report(evaluations, make_trainings(), make_speeds(), ENVIRONMENT, REPORT, predictions)
