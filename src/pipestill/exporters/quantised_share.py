"""The share of weight bytes that a quantiser really quantised.

A quantiser silently skips operators it does not recognise: with shared layers it quantised 9 of 75 products, and the
file grew. Therefore the share is computed from the files and has a floor in params.yaml.
"""

from onnx import GraphProto, ModelProto, TensorProto

from pipestill.records import Record

ELIGIBLE = ("MatMul", "Gemm", "FusedMatMul", "Attention", "MultiHeadAttention", "Gather", "LSTM")
"""Operators that read weight matrices and have an int8 form in ONNX Runtime."""
INELIGIBLE = ("GRU", "RNN", "Conv")
"""Operators that read weight matrices without an int8 form for dynamic ranges: their weights stay float."""
RECURRENT = ("LSTM", "GRU", "RNN")
_FLOAT_BYTES = 4


class QuantisedShare(Record):
    """The quantised share of a file, and the operators whose weights stay float.

    Attributes:
        eligible_bytes: bytes of the fp32 weights that an int8 operator could read.
        total_bytes: bytes of all fp32 weight matrices, including those of GRUs.
        float_bytes: bytes of weight matrices that are float in the quantised file.
        quantised_fraction: share of the eligible bytes that is quantised; params.yaml sets a floor to it.
        total_quantised_fraction: share of all bytes that is quantised.
        float_bytes_by_operator: float_bytes by the operator that reads them.
    """

    eligible_bytes: int
    total_bytes: int
    float_bytes: int
    quantised_fraction: float
    total_quantised_fraction: float
    float_bytes_by_operator: dict[str, int]


def measure_share(fp32: ModelProto, quantised: ModelProto) -> QuantisedShare:
    """Compare an fp32 graph with its quantised form.

    Args:
        fp32: graph before quantisation.
        quantised: graph after quantisation.

    Returns:
        The share; eligible are the matrices that products, lookups and LSTMs of the fp32 graph read, each counted once.
    """
    before = _matrix_bytes(fp32.graph)
    left = _matrix_bytes(quantised.graph)
    by_operator: dict[str, int] = {}
    for (operator, _), size in left.items():
        by_operator[operator] = by_operator.get(operator, 0) + size
    eligible, eligible_left = (
        sum(size for (operator, _), size in sizes.items() if operator in ELIGIBLE) for sizes in (before, left)
    )
    total, float_bytes = sum(before.values()), sum(left.values())
    return QuantisedShare(
        eligible_bytes=eligible,
        total_bytes=total,
        float_bytes=float_bytes,
        quantised_fraction=_quantised(eligible_left, eligible),
        total_quantised_fraction=_quantised(float_bytes, total),
        float_bytes_by_operator=dict(sorted(by_operator.items())),
    )


def _quantised(left: int, before: int) -> float:
    return 1 - min(1.0, left / before) if before else 1.0


def _matrix_bytes(graph: GraphProto) -> dict[tuple[str, str], int]:
    """Count the bytes of each float matrix by (first reader, name); a column of scales does not count as a matrix."""
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
        # The fourth input of a recurrent layer are its biases, one row a direction.
        names = [*node.input[:3]] if node.op_type in RECURRENT else [*node.input]
        for name in names:
            if node.op_type in (*ELIGIBLE, *INELIGIBLE) and name in sizes and name not in seen:
                seen.add(name)
                found[node.op_type, name] = sizes[name]
    return found
