"""`int8_dynamic`: weights in 8 bits, activations quantised while the model runs.

    W ~ scale * W_int8        one scale a column of a product's weight (`per_channel`) or one a matrix
    E ~ scale[row] * E_int8   one scale a row of an embedding table, symmetric around 0

No calibration set is needed. Activations are quantised as unsigned bytes over the range that one batch happens to have,
so logits depend slightly on batch and padding; the record holds the size of this effect. On x86 CPUs without VNNI, sums
of two unsigned-by-signed products saturate in 16 bits; `reduce_range` keeps weights to 7 bits, whose sums cannot, so
that a file gives the same logits on every CPU (decision 15).

Embedding tables are quantised here and not by ONNX Runtime, which would give a whole table one scale.
"""

import logging
import tempfile
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from pydantic import Field

from pipestill.exporters._base import Exporter
from pipestill.exporters._graph import add_weight, attribute, finish, replace_nodes, weights

PRODUCTS = ("MatMul", "Gemm", "Attention", "LSTM")
"""Operators whose weights ONNX Runtime quantises; GRU is not supported."""
SMALL_TABLE = 4096
"""Embedding tables of fewer elements stay float: unpacking them would take longer than reading them."""
_LARGEST = 127

Fraction = Annotated[float, Field(ge=0, le=1)]


class Int8Dynamic(Exporter):
    """Settings and limits of the int8 file."""

    file: ClassVar[PurePosixPath] = PurePosixPath("onnx/model_quantized.onnx")

    kind: Literal["int8_dynamic"]
    per_channel: bool
    reduce_range: bool
    min_quantised_fraction: Fraction
    max_size_fraction: Fraction
    max_accuracy_drop_fraction: Fraction

    def convert(self, graph: ModelProto) -> ModelProto:
        """Quantise the weights of an fp32 graph.

        Args:
            graph: optimised fp32 graph to copy.

        Returns:
            A quantised graph with the same inputs and output.
        """
        copy = ModelProto()
        copy.CopyFrom(graph)
        quantised = _quantise_products(copy, per_channel=self.per_channel, reduce_range=self.reduce_range)
        quantise_tables(quantised.graph)
        return finish(quantised)

    def with_other_range(self) -> "Int8Dynamic":
        """Return the same settings with the other `reduce_range`, to measure its accuracy too."""
        return self.model_copy(update={"reduce_range": not self.reduce_range})


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
