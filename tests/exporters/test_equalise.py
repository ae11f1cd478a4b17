"""Outlying channels: found on rows, divided, and their weights multiplied, so that int8 loses less."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from exporter_models import VOCABULARY, albert, bert, graph_of, int8, optimise
from onnx import ModelProto
from transformers import PreTrainedModel

from pipestill.exporters._graph import count_operators
from pipestill.exporters.equalise import Equalised, divisors, equalise, largest_by_channel
from pipestill.exporters.params import Equalisation
from pipestill.exporters.quantised_share import measure_share
from pipestill.exporters.session import compute_logits, open_session, pad

ROWS = [list(np.random.default_rng(row).integers(4, VOCABULARY, 3 + row % 12)) for row in range(24)]


def settings(**changes: Any) -> Equalisation:
    return Equalisation.model_validate({"num_rows": 24, "usual_quantile": 0.9, "min_outlier_ratio": 3.0} | changes)


def logits(graph: ModelProto) -> np.ndarray:
    session = open_session(graph)
    return np.concatenate([compute_logits(session, pad([row], pad_id=0)) for row in ROWS])


def with_outliers(model: PreTrainedModel) -> ModelProto:
    """A graph of a BERT of whose every feed-forward block one unit lies thirty times further out than all others."""
    with torch.no_grad():
        for layer in model.bert.encoder.layer:
            layer.intermediate.dense.bias[3] = 60.0
            layer.output.dense.weight[:, 3] *= 0.01
    return optimise(model.eval()).model


@pytest.fixture(scope="module")
def outlying() -> ModelProto:
    torch.manual_seed(0)
    return with_outliers(bert())


def equalised(graph: ModelProto, **changes: Any) -> Equalised:
    return equalise(graph, ROWS, settings(**changes), pad_id=0)


def test_channels_within_the_ratio_are_left_alone_and_those_beyond_it_come_down_to_the_usual() -> None:
    largest = np.array([1.0, 2.0, 1.5, 2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0, 9.0], dtype=np.float32)
    scales = divisors(largest, settings())
    assert scales is not None
    np.testing.assert_allclose(scales, [1] * 10 + [4.5])
    assert divisors(largest, settings(min_outlier_ratio=4.5)) is None
    assert divisors(np.zeros(4, dtype=np.float32), settings()) is None


def test_the_graph_computes_the_same_and_is_left_as_it_was(outlying: ModelProto) -> None:
    before = outlying.SerializeToString(deterministic=True)
    found = equalised(outlying)
    assert found.num_inputs == 2, "one unit in each of two layers"
    onnx.checker.check_model(found.model)
    np.testing.assert_allclose(logits(found.model), logits(outlying), atol=1e-4)
    assert outlying.SerializeToString(deterministic=True) == before
    again = equalised(outlying).model
    assert again.SerializeToString(deterministic=True) == found.model.SerializeToString(deterministic=True)


def test_int8_comes_nearer_to_fp32_and_stays_quantised(outlying: ModelProto) -> None:
    exact = logits(outlying)
    graphs = [int8().convert(graph) for graph in (outlying, equalised(outlying).model)]
    plain, better = (float(np.square(logits(graph) - exact).mean()) for graph in graphs)
    assert better < plain / 2
    shares = [measure_share(outlying, graph).quantised_fraction for graph in graphs]
    assert shares[1] == pytest.approx(shares[0])


def test_without_outliers_or_rows_nothing_is_divided(family: str, outlying: ModelProto) -> None:
    graph = graph_of(family).model
    found = equalise(graph, ROWS, settings(min_outlier_ratio=100.0), pad_id=0)
    assert found.num_inputs == 0
    assert count_operators(found.model.graph) == count_operators(graph.graph)
    assert equalise(outlying, [], settings(), pad_id=0).num_inputs == 0


def test_every_family_computes_the_same_where_every_input_is_divided(family: str) -> None:
    graph = graph_of(family).model
    found = equalise(graph, ROWS, settings(usual_quantile=0.5, min_outlier_ratio=1.0), pad_id=0)
    assert found.num_inputs > 0
    np.testing.assert_allclose(logits(found.model), logits(graph), atol=1e-4)


def test_weights_that_layers_share_stay_shared() -> None:
    torch.manual_seed(0)
    graph = optimise(albert().eval()).model
    found = equalise(graph, ROWS, settings(usual_quantile=0.5, min_outlier_ratio=1.0), pad_id=0)
    assert found.num_inputs > 0
    sizes = [len(int8().convert(one).SerializeToString()) for one in (graph, found.model)]
    assert sizes[1] < 1.2 * sizes[0]


def test_the_largest_values_are_those_of_all_rows(outlying: ModelProto) -> None:
    name = next(node.input[0] for node in outlying.graph.node if node.op_type == "MatMul")
    whole = largest_by_channel(outlying, [name], ROWS, pad_id=0)[name]
    parts = [largest_by_channel(outlying, [name], part, pad_id=0)[name] for part in (ROWS[:9], ROWS[9:])]
    np.testing.assert_array_equal(whole, np.maximum(*parts))
