"""`onnx_fp32`: the classifier as an ONNX graph in 32-bit floats, made for ONNX Runtime on a CPU.

Fused (see fusion.py), with the last layer computed for the first token only (see first_token.py). The logits equal
those of PyTorch up to rounding; parity is measured on the written file and enforced.
"""

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pipestill.exporters._base import Exporter, Shape
from pipestill.variants import FP32, Variant

if TYPE_CHECKING:
    from onnx import ModelProto


class Fp32Graph(NamedTuple):
    """An optimised graph, and the fusions that succeeded."""

    model: "ModelProto"
    fused_operators: dict[str, int]
    first_token_only: bool


class OnnxFp32(Exporter):
    """Settings of the fp32 file."""

    variant: ClassVar[Variant] = FP32

    kind: Literal["onnx_fp32"]
    fuse: bool

    def optimise(self, traced: "ModelProto", shape: Shape) -> Fp32Graph:
        """Optimise a traced graph.

        Args:
            traced: graph from the tracing exporter.
            shape: heads and width of the model.

        Returns:
            A copy to write; without `fuse` it is the traced graph, only normalised.
        """
        from pipestill.exporters._graph import constants_to_weights, copy_of, finish
        from pipestill.exporters.first_token import select_first_token_early
        from pipestill.exporters.fusion import fuse

        if not self.fuse:
            graph = copy_of(traced)
            constants_to_weights(graph.graph)
            return Fp32Graph(finish(graph), {}, first_token_only=False)
        graph, counts = fuse(traced, num_heads=shape.num_heads, hidden_size=shape.hidden_size)
        first_token_only = select_first_token_early(graph)
        return Fp32Graph(finish(graph), counts, first_token_only)
