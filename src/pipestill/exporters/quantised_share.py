"""How much of a model a quantiser really quantised, and what stayed float.

A quantiser skips what it does not recognise and says nothing: of a model with shared layers 9 of 75 products, and the
file grew. So the share of weight bytes is computed from the files and has a floor in params.yaml.
"""

from onnx import GraphProto, ModelProto, TensorProto

from pipestill.records import Record

READERS = ("MatMul", "Gemm", "FusedMatMul", "Attention", "MultiHeadAttention", "Gather", "LSTM", "GRU", "RNN", "Conv")
"""Operators that read weight matrices, which is what 8 bits are for."""
_FLOAT_BYTES = 4


class QuantisedShare(Record):
    """The share of eligible weight bytes that is quantised, and the operators whose weights stay float."""

    eligible_bytes: int
    float_bytes: int
    quantised_fraction: float
    float_bytes_by_operator: dict[str, int]


def measure_share(fp32: ModelProto, quantised: ModelProto) -> QuantisedShare:
    """Compare an fp32 graph with its quantised form.

    Args:
        fp32: the graph before quantisation.
        quantised: the graph after it.

    Returns:
        The share; eligible are the matrices that products, lookups and recurrent layers of the fp32 graph read, each
        counted once however often it is read.
    """
    eligible = sum(_matrix_bytes(fp32.graph).values())
    left = _matrix_bytes(quantised.graph)
    by_operator: dict[str, int] = {}
    for (operator, _), size in left.items():
        by_operator[operator] = by_operator.get(operator, 0) + size
    float_bytes = sum(left.values())
    return QuantisedShare(
        eligible_bytes=eligible,
        float_bytes=float_bytes,
        quantised_fraction=1 - min(1.0, float_bytes / eligible) if eligible else 1.0,
        float_bytes_by_operator=dict(sorted(by_operator.items())),
    )


def _matrix_bytes(graph: GraphProto) -> dict[tuple[str, str], int]:
    """Bytes of each float matrix by (its first reader, its name); a column of scales is no matrix."""
    sizes = {}
    for tensor in graph.initializer:
        dims = [size for size in tensor.dims if size > 1]
        if tensor.data_type == TensorProto.FLOAT and len(dims) > 1:
            count = 1
            for size in dims:
                count *= size
            sizes[tensor.name] = count * _FLOAT_BYTES
    found: dict[tuple[str, str], int] = {}
    seen: set[str] = set()
    for node in graph.node:
        for name in node.input:
            if node.op_type in READERS and name in sizes and name not in seen:
                seen.add(name)
                found[node.op_type, name] = sizes[name]
    return found
