"""One invented pipeline for all tests of reporting."""

import pytest
from invented_records import ENVIRONMENT, REPORT, make_evaluations, make_speeds

from pipestill.metrics.records import EvaluateRecord
from pipestill.reporting.summary import Summary, summarise


@pytest.fixture(scope="session")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> list[EvaluateRecord]:
    return make_evaluations(tmp_path_factory.mktemp("invented"))


@pytest.fixture(scope="session")
def summary(evaluations: list[EvaluateRecord]) -> Summary:
    return summarise(evaluations, make_speeds(), ENVIRONMENT, REPORT)
