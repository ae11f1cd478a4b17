import numpy as np
import pytest
from exporter_models import graph_of, int8_graph_of
from onnx import TensorProto, helper, numpy_helper

from pipestill.exporters._graph import count_operators, finish
from pipestill.exporters.quantise import quantise_rows
from pipestill.exporters.quantised_share import measure_share


def test_a_graph_that_is_not_quantised_has_a_share_of_zero() -> None:
    graph = graph_of("bert").model
    assert measure_share(graph, graph).quantised_fraction == 0


def test_all_but_small_tables_of_a_bert_is_quantised() -> None:
    share = measure_share(graph_of("bert").model, int8_graph_of("bert"))
    assert set(share.float_bytes_by_operator) == {"Gather"}  # the two rows of segments
    assert share.float_bytes == 2 * 32 * 4


def test_every_product_with_a_weight_of_a_model_with_shared_layers_is_quantised() -> None:
    graph, quantised = graph_of("albert").model, int8_graph_of("albert")
    share = measure_share(graph, quantised)
    assert set(share.float_bytes_by_operator) == {"Gather"}
    assert count_operators(quantised.graph)["Gemm"] == 0
    assert len(quantised.SerializeToString()) < len(graph.SerializeToString())


def test_shared_layers_are_stored_once() -> None:
    weights = graph_of("albert").model.graph.initializer
    feed_forward = [tensor for tensor in weights if sorted(tensor.dims) == [32, 64]]
    assert len(feed_forward) == 2


def test_what_no_quantiser_knows_is_reported_as_float() -> None:
    weight = numpy_helper.from_array(np.zeros((1, 12, 4), dtype=np.float32), "w")
    node = helper.make_node("GRU", ["x", "w", "w"], ["y"], hidden_size=4)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weight]))
    share = measure_share(finish(model), model)
    assert share.float_bytes_by_operator == {"GRU": 12 * 4 * 4}
    assert (share.eligible_bytes, share.total_bytes) == (0, 12 * 4 * 4)
    assert (share.quantised_fraction, share.total_quantised_fraction) == (1, 0)


@pytest.mark.parametrize(
    ("row", "expected_scale", "expected"),
    [
        ([127.0, -127.0, 1.0], 1.0, [127, -127, 1]),
        ([0.0, 0.0, 0.0], 1.0, [0, 0, 0]),
        ([2.54, 0.02, 0.0], 0.02, [127, 1, 0]),
    ],
)
def test_a_row_is_quantised_by_its_largest_value(row: list[float], expected_scale: float, expected: list[int]) -> None:
    quantised, scale = quantise_rows(np.array([row], dtype=np.float32))
    assert scale[0, 0] == pytest.approx(expected_scale)
    assert quantised.tolist() == [expected]
