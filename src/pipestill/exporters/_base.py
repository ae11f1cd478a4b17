"""The base of every export format: settings from params.yaml, and the variant that it makes of a model.

`check` parses these settings at the start of every run, so no module of a format imports onnx or torch before it
converts a graph.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from pipestill.params import Section
from pipestill.variants import Variant

if TYPE_CHECKING:
    from onnx import ModelProto


class Shape(NamedTuple):
    """Sizes of a model that fusions need; 0 for a size that the model lacks."""

    num_heads: int
    hidden_size: int


class Exporter(Section):
    """Base of every export format.

    Attributes:
        variant: name, title and file of the models that it makes.
        kind: name of the format in params.yaml.
    """

    variant: ClassVar[Variant]
    kind: str


class FurtherExporter(Exporter):
    """Base of every format that `export.more` may name: made of the fp32 graph, with limits of its own.

    Attributes:
        tolerance: largest allowed difference between its logits and those of PyTorch.
        max_size_fraction: largest allowed size, as a fraction of the fp32 file's.
    """

    tolerance: float = Field(gt=0)
    max_size_fraction: float = Field(gt=0)

    @abstractmethod
    def convert(self, graph: "ModelProto") -> "ModelProto":
        """Make the graph of this format.

        Args:
            graph: optimised fp32 graph, which is left as it is.

        Returns:
            A graph with the same inputs and output.
        """
