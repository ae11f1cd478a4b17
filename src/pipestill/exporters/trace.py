"""From a PyTorch classifier to a plain ONNX graph with free batch and length.

The graph comes from torch's tracing exporter with the `eager` attention: of the four combinations (tracing or dynamo,
eager or sdpa) it is the only one whose attention and GELU ONNX Runtime's fusions recognise.
"""

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from pipestill.errors import ExportError

OPSET = 17
"""The newest opset whose graphs the fusions recognise."""
OUTPUT = "logits"


class _Logits(nn.Module):
    """A classifier that takes its inputs in order and returns its logits alone."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute the logits, float32 [batch, label]."""
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def input_names(model: nn.Module) -> tuple[str, ...]:
    """The inputs of a classifier: ids, mask, and segment ids where the model tells segments apart."""
    takes_segments = "token_type_ids" in inspect.signature(model.forward).parameters
    num_segments = getattr(getattr(model, "config", None), "type_vocab_size", 2)
    segments = ("token_type_ids",) if takes_segments and num_segments > 1 else ()
    return ("input_ids", "attention_mask", *segments)


def trace(model: nn.Module) -> ModelProto:
    """Write a classifier as a plain ONNX graph.

    Args:
        model: a transformers sequence classifier; traced without dropout whatever mode it is in, and left in eval mode.

    Returns:
        A graph with inputs int64 [batch, token] and output `logits` float32 [batch, label].

    Raises:
        ExportError: the exporter refuses the model.
    """
    names = input_names(model)
    model.eval()
    wrapper = _Logits(model, names)
    wrapper.eval()  # a new module starts in train mode, and its state decides what the exporter writes for dropout
    with TemporaryDirectory() as folder, _eager_attention(model), _quiet(), torch.no_grad():
        file = Path(folder) / "traced.onnx"
        try:
            torch.onnx.export(
                wrapper,
                tuple(_example(names).values()),
                file,
                input_names=list(names),
                output_names=[OUTPUT],
                dynamic_axes={name: {0: "batch", 1: "token"} for name in names} | {OUTPUT: {0: "batch"}},
                opset_version=OPSET,
                training=torch.onnx.TrainingMode.EVAL,
                dynamo=False,
            )
        except Exception as error:
            raise ExportError(
                f"{type(model).__name__} cannot be written as ONNX", found=error, next_step="report the model's type"
            ) from error
        graph: ModelProto = onnx.load(str(file))
    return graph


def _example(names: tuple[str, ...]) -> Mapping[str, Tensor]:
    # Two rows of unlike length: a batch or length of one would be written as a constant.
    ids = torch.tensor([[2, 3, 4, 5, 6], [2, 3, 4, 0, 0]])
    values = {"input_ids": ids, "attention_mask": (ids != 0).long(), "token_type_ids": torch.zeros_like(ids)}
    return {name: values[name] for name in names}


@contextmanager
def _eager_attention(model: nn.Module) -> Iterator[None]:
    config: Any = model.config
    before = config._attn_implementation  # noqa: SLF001 (transformers has no public reader of it)
    config._attn_implementation = "eager"  # noqa: SLF001
    try:
        yield
    finally:
        config._attn_implementation = before  # noqa: SLF001


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it warns of its own deprecation and of each Python number in the trace."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
