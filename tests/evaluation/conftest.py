"""A settings object for all tests of evaluation."""

import pytest
from labelled_tables import SETTINGS

from pipestill.evaluation.params import EvaluateParams


@pytest.fixture
def params() -> EvaluateParams:
    """Small and quick."""
    return EvaluateParams.model_validate(SETTINGS)
