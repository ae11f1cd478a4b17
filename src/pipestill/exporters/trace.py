"""Tracing a PyTorch classifier to a plain ONNX graph with free batch and length.

The graph comes from torch's tracing exporter with the `eager` attention: of the four combinations (tracing or dynamo,
eager or sdpa) it is the only one whose attention and GELU ONNX Runtime's fusions recognise.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import ModelProto
from torch import nn

from pipestill.errors import ExportError
from pipestill.teacher.tracing import input_names, write_traced

__all__ = ["input_names", "trace"]


def trace(model: nn.Module) -> ModelProto:
    """Write a classifier as a plain ONNX graph.

    Args:
        model: transformers sequence classifier; traced without dropout in any mode, and left in eval mode.

    Returns:
        A graph with inputs int64 [batch, token] and output `logits` float32 [batch, label].

    Raises:
        ExportError: the exporter refuses the model.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "traced.onnx"
        try:
            write_traced(model, file)
        except Exception as error:
            raise ExportError(
                f"{type(model).__name__} cannot be written as ONNX",
                found=error,
                expected="a model whose operations are all known to torch's tracing exporter",
                next_step="choose another student kind, or another base under fetch.base in params.yaml",
            ) from error
        graph: ModelProto = onnx.load(str(file))
    return graph
