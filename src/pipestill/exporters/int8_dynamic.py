"""`int8_dynamic`: weights in 8 bits, activations quantised while the model runs.

    W ~ scale * W_int8        one scale a column of a product's weight (`per_channel`) or one a matrix
    E ~ scale[row] * E_int8   one scale a row of an embedding table, symmetric around 0

No calibration set is needed. Activations are quantised as unsigned bytes over the range that one batch happens to have,
so logits depend slightly on batch and padding; the record holds the size of this effect. On x86 CPUs without VNNI, sums
of two unsigned-by-signed products saturate in 16 bits; `reduce_range` keeps weights to 7 bits, whose sums cannot, so
that a file gives the same logits on every CPU (decision 15). The arithmetic is in quantise.py.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from pipestill.exporters._base import Exporter
from pipestill.variants import INT8, Variant

if TYPE_CHECKING:
    from onnx import ModelProto

Fraction = Annotated[float, Field(ge=0, le=1)]


class Int8Dynamic(Exporter):
    """Settings and limits of the int8 file."""

    variant: ClassVar[Variant] = INT8

    kind: Literal["int8_dynamic"]
    per_channel: bool
    reduce_range: bool
    min_quantised_fraction: Fraction
    max_size_fraction: Fraction
    max_quality_drop_fraction: Fraction

    def convert(self, graph: "ModelProto") -> "ModelProto":
        """Quantise the weights of an fp32 graph, which is copied."""
        from pipestill.exporters.quantise import quantise

        return quantise(graph, per_channel=self.per_channel, reduce_range=self.reduce_range)

    def with_other_range(self) -> "Int8Dynamic":
        """Return the same settings with the other `reduce_range`, to measure its quality too."""
        return self.model_copy(update={"reduce_range": not self.reduce_range})
