"""`onnx_fp16`: weights stored in 16-bit floats, computed in 32 bits: half the size, on every CPU.

    W ~ float32(float16(W))   off by at most 2^-11 of a weight's size, or 2^-25 below 2^-14

Few CPUs have kernels for 16-bit floats, so the graph casts each weight back and computes as the fp32 file does. ONNX
Runtime casts product weights once, when the model is loaded; of an embedding table only the rows that are looked up are
cast. Vectors (biases, norms) stay in 32 bits, and so does a matrix with a value beyond 65,504, the largest of float16.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from pipestill.exporters._base import FurtherExporter
from pipestill.variants import Variant, onnx_variant

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


class OnnxFp16(FurtherExporter):
    """Settings and limits of the fp16 file."""

    variant: ClassVar[Variant] = onnx_variant("fp16")

    kind: Literal["onnx_fp16"]

    def convert(self, graph: "ModelProto") -> "ModelProto":
        """Store the weight matrices of an fp32 graph, which is copied, as float16."""
        from pipestill.exporters._graph import copy_of, finish

        copy = copy_of(graph)
        halve_weights(copy.graph)
        return finish(copy)


def halve_weights(graph: "GraphProto") -> None:
    """Store matrices as float16, with a cast before whatever reads them."""
    from pipestill.exporters._graph import attribute, replace_nodes

    halved = _add_halved(graph)
    nodes: list[NodeProto] = []
    casts: dict[str, NodeProto] = {}
    for node in graph.node:
        nodes.append(node)
        if node.op_type == "Gather" and node.input[0] in halved and attribute(node, "axis", 0) == 0:
            output = node.output[0]
            node.input[0], node.output[0] = halved[node.input[0]], f"{output}/fp16"
            nodes.append(_cast(f"{output}/fp16", output))
        for index, name in enumerate(node.input):
            if name in halved:
                node.input[index] = f"{name}/fp32"
                casts[name] = _cast(halved[name], f"{name}/fp32")
    replace_nodes(graph, [*casts.values(), *nodes])


def _add_halved(graph: "GraphProto") -> dict[str, str]:
    """Add each matrix of 32-bit floats once more, as float16; return the new names by the old."""
    import numpy as np
    from onnx import TensorProto, numpy_helper

    from pipestill.exporters._graph import add_weight, weights

    halved = {}
    for name, tensor in weights(graph).items():
        if tensor.data_type == TensorProto.FLOAT and sum(size > 1 for size in tensor.dims) > 1:
            matrix = numpy_helper.to_array(tensor)
            if np.abs(matrix).max() <= np.finfo(np.float16).max:
                halved[name] = add_weight(graph, f"{name}/fp16", matrix.astype(np.float16))
    return halved


def _cast(source: str, output: str) -> "NodeProto":
    from onnx import TensorProto, helper

    return helper.make_node("Cast", [source], [output], name=output, to=TensorProto.FLOAT)
