from typing import Any

import numpy as np
import pytest
from labelled_tables import SETTINGS

from pipestill.errors import ParamsError
from pipestill.evaluation.assess import assess
from pipestill.evaluation.params import EvaluateParams
from pipestill.params import parse_section
from pipestill.tasks import CLASSES


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"slices": {"kind": "quantiles", "quantiles": [0.5, 0.25]}}, "must ascend"),
        ({"slices": {"kind": "quantiles", "quantiles": [0.0]}}, "greater than 0"),
        ({"slices": {"kind": "bounds", "characters": [10, 10]}}, "must ascend"),
        ({"slices": {"kind": "words"}}, "evaluate.slices"),
        ({"num_ece_bins": 1}, "evaluate.num_ece_bins"),
        ({"batch_size": "32"}, "evaluate.batch_size"),
        ({"bootstrap": {"replicates": 10, "seed": 1, "confidence": 0.95}}, "evaluate.bootstrap.replicates"),
        ({"surprise": 1}, "evaluate.surprise"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ParamsError, match=named):
        parse_section({"evaluate": SETTINGS | change}, "evaluate", EvaluateParams)


def test_fixed_bounds_slice_at_characters() -> None:
    settings = SETTINGS | {"slices": {"kind": "bounds", "characters": [2, 100]}}
    params = EvaluateParams.model_validate(settings)
    texts = ["a", "aaa", "aaaa"]
    quality = assess(CLASSES, np.eye(2)[[0, 1, 1]], np.array([0, 1, 0]), texts, params)
    assert [part.num_rows for part in quality.by_length] == [1, 2]
