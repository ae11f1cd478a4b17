"""fp16: matrices stored as float16, everything else as it was, and casts where they cost least."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from exporter_models import FURTHER, further, graph_of
from onnx import ModelProto, TensorProto, helper, numpy_helper

from pipestill.exporters._graph import count_operators, finish, weights
from pipestill.exporters.onnx_fp16 import OnnxFp16
from pipestill.exporters.session import compute_logits, open_session, pad

LARGEST = 65_504.0


def converted(graph: ModelProto) -> ModelProto:
    assert OnnxFp16 in FURTHER
    return further(OnnxFp16).convert(graph)


def test_every_matrix_is_float16_and_every_vector_float32(family: str) -> None:
    tensors = weights(converted(graph_of(family).model).graph).values()
    for tensor in tensors:
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16):
            is_matrix = sum(size > 1 for size in tensor.dims) > 1
            assert (tensor.data_type == TensorProto.FLOAT16) == is_matrix, tensor.name
    assert sum(tensor.data_type == TensorProto.FLOAT16 for tensor in tensors) > 3


def test_logits_are_those_of_the_fp32_graph_with_rounded_weights(family: str) -> None:
    graph = graph_of(family).model
    rounded = ModelProto()
    rounded.CopyFrom(graph)
    for tensor in rounded.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and sum(size > 1 for size in tensor.dims) > 1:
            values = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    batch = pad([[2, 7, 9, 3], [2, 5, 3]], pad_id=0)
    found, expected = (compute_logits(open_session(one), batch) for one in (converted(graph), rounded))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not np.array_equal(expected, compute_logits(open_session(graph), batch))


def test_a_lookup_casts_the_rows_it_finds_and_not_the_table() -> None:
    graph = converted(graph_of("bert").model).graph
    casts = {node.input[0] for node in graph.node if node.op_type == "Cast"}
    lookups = [node for node in graph.node if node.op_type == "Gather" and node.input[0] in weights(graph)]
    assert lookups
    for lookup in lookups:
        assert weights(graph)[lookup.input[0]].data_type == TensorProto.FLOAT16
        assert lookup.output[0] in casts
        assert lookup.input[0] not in casts


def test_the_runtime_casts_the_weights_of_products_when_it_loads_them(family: str, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    source = converted(graph_of(family).model).SerializeToString()
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(str(tmp_path / "loaded.onnx")).graph
    constants = weights(graph)
    assert [node.name for node in graph.node if node.op_type == "Cast" and node.input[0] in constants] == []


def test_shared_weights_are_stored_and_cast_once() -> None:
    graph = graph_of("albert").model
    found = converted(graph)
    stored = [tensor.name for tensor in found.graph.initializer if tensor.data_type == TensorProto.FLOAT16]
    assert count_operators(found.graph)["Cast"] - count_operators(graph.graph)["Cast"] == len(stored)
    assert len(found.SerializeToString()) < 0.6 * len(graph.SerializeToString())


@pytest.mark.parametrize(("value", "halved"), [(LARGEST, True), (-70_000.0, False), (np.finfo(np.float32).min, False)])
def test_a_matrix_beyond_the_range_of_float16_stays_as_it_is(value: float, halved: bool) -> None:
    matrix = np.array([[1.0, value], [2.0, 3.0]], dtype=np.float32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(matrix, "w")])
    found = converted(finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)))
    assert [tensor.data_type for tensor in found.graph.initializer] == [
        TensorProto.FLOAT16 if halved else TensorProto.FLOAT
    ]
    result = open_session(found).run(None, {"x": np.eye(2, dtype=np.float32)})[0]
    np.testing.assert_array_equal(result, matrix)
