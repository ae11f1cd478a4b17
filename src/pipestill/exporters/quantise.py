"""Storing the weights of an fp32 graph in 8 bits; int8_dynamic.py has the formulas.

Embedding tables are quantised here and not by ONNX Runtime, which would give a whole table one scale.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pipestill.exporters._graph import add_weight, attribute, copy_of, finish, replace_nodes, weights

PRODUCTS = ("MatMul", "Gemm", "Attention", "LSTM")
"""Operators whose weights ONNX Runtime quantises; GRU is not supported."""
SMALL_TABLE = 4096
"""Embedding tables of fewer elements stay float: unpacking them would take longer than reading them."""
_LARGEST = 127


def quantise(graph: ModelProto, *, per_channel: bool, reduce_range: bool) -> ModelProto:
    """Quantise the weights of an fp32 graph.

    Args:
        graph: optimised fp32 graph to copy.
        per_channel: whether each column of a product's weight has a scale of its own.
        reduce_range: whether weights keep to 7 bits.

    Returns:
        A quantised graph with the same inputs and output.
    """
    copy = copy_of(graph)
    quantised = _quantise_products(copy, per_channel=per_channel, reduce_range=reduce_range)
    quantise_tables(quantised.graph)
    return finish(quantised)


def _quantise_products(model: ModelProto, *, per_channel: bool, reduce_range: bool) -> ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The quantiser infers shapes and fails on stale ones.
    del model.graph.value_info[:]
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it asks for preprocessing that the fp32 export has done
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "quantised.onnx"
            quantize_dynamic(
                model,
                str(path),
                weight_type=QuantType.QInt8,
                per_channel=per_channel,
                reduce_range=reduce_range,
                op_types_to_quantize=list(PRODUCTS),
                # Shape inference does not know fused operators; their outputs are float.
                extra_options={"DefaultTensorType": TensorProto.FLOAT, "MatMulConstBOnly": True},
            )
            quantised: ModelProto = onnx.load(str(path))
    finally:
        logging.disable(previous)
    return quantised


def quantise_rows(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise a table row by row, symmetric around 0.

    Args:
        table: table to quantise, float32 [row, hidden].

    Returns:
        The table as int8 [row, hidden], and the scales, float32 [row, 1]; their product is off by at most half a scale.
    """
    largest = np.abs(table).max(axis=1, keepdims=True).astype(np.float32)
    scale = np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)
    return np.rint(table / scale).astype(np.int8), scale


def quantise_tables(graph: GraphProto) -> None:
    """Store embedding tables in 8 bits, and unpack only the rows that are looked up."""
    constants = weights(graph)
    nodes: list[NodeProto] = []
    for node in graph.node:
        table = constants.get(node.input[0]) if node.op_type == "Gather" and attribute(node, "axis", 0) == 0 else None
        nodes.append(node)
        if table is not None and _is_large_table(table):
            nodes[-1:] = _look_up_quantised(graph, node, numpy_helper.to_array(table))
    replace_nodes(graph, nodes)


def _is_large_table(tensor: TensorProto) -> bool:
    is_matrix = len(tensor.dims) == 2 and tensor.data_type == TensorProto.FLOAT  # noqa: PLR2004
    return is_matrix and int(np.prod(tensor.dims)) >= SMALL_TABLE


def _look_up_quantised(graph: GraphProto, lookup: NodeProto, table: np.ndarray) -> list[NodeProto]:
    name, rows, output = lookup.input[0], lookup.input[1], lookup.output[0]
    quantised, scale = quantise_rows(table)
    add_weight(graph, f"{name}/int8", quantised)
    add_weight(graph, f"{name}/scale", scale)
    return [
        helper.make_node("Gather", [f"{name}/int8", rows], [f"{output}/int8"], name=f"{output}/int8", axis=0),
        helper.make_node("Gather", [f"{name}/scale", rows], [f"{output}/scale"], name=f"{output}/scale", axis=0),
        helper.make_node("Cast", [f"{output}/int8"], [f"{output}/float"], name=f"{output}/float", to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{output}/float", f"{output}/scale"], [output], name=f"{output}/unpacked"),
    ]
