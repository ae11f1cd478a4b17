"""Fusing the traced graph: one Attention node a layer, Gelu and LayerNormalization instead of their arithmetic.

ONNX Runtime's optimiser could also fuse SkipLayerNormalization, BiasGelu and EmbedLayerNormalization. On a CPU at batch
1 those three are slower than the operators they replace: SkipLayerNormalization takes 60 us where an addition and a
LayerNormalization take 16, and BiasGelu 47 us where Gelu takes 31 once the int8 product adds the bias. So they are left
out, and the residual additions are written as `Sum`, which the runtime's own optimiser does not fuse.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnx import ModelProto

from pipestill.exporters._graph import (
    constants_to_weights,
    consumers,
    copy_of,
    count_operators,
    producers,
    weights,
    without_unused,
)

FUSED = ("Attention", "Gelu", "LayerNormalization")


def fuse(model: ModelProto, *, num_heads: int, hidden_size: int) -> tuple[ModelProto, dict[str, int]]:
    """Fuse attention, GELU and layer normalisation.

    Args:
        model: traced graph to copy.
        num_heads: attention heads of a layer; 0 lets the optimiser infer them.
        hidden_size: width of a layer; 0 lets the optimiser infer it.

    Returns:
        The fused graph, and its number of nodes of each fused operator; unknown kinds of layers stay unfused and are
        missing from the counts.
    """
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    options = FusionOptions("bert")
    options.use_raw_attention_mask(
        True
    )  # a [batch, token] mask, since a count of tokens would assume padding on the right
    options.enable_skip_layer_norm = False
    options.enable_bias_skip_layer_norm = False
    options.enable_bias_gelu = False
    options.enable_embed_layer_norm = False
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "traced.onnx"
        onnx.save(_attention_first(model), str(path))
        fused: ModelProto = optimizer.optimize_model(
            str(path),
            model_type="bert",
            num_heads=num_heads,
            hidden_size=hidden_size,
            optimization_options=options,
            opt_level=0,
        ).model
    constants_to_weights(fused.graph)
    fused = without_unused(fused)
    _write_residuals_as_sums(fused)
    counts = count_operators(fused.graph)
    return fused, {name: counts[name] for name in FUSED if counts[name]}


def _attention_first(model: ModelProto) -> ModelProto:
    """Copy a graph so that residual additions name the attention's output first, as in BERT.

    The optimiser follows the first input that an addition with a bias made. In ALBERT's first layer that is the
    projection of the embedding, and the layer would stay unfused.
    """
    copy = copy_of(model)
    makers = producers(copy.graph)

    def is_attention(name: str) -> bool:
        for operator in ("Add", "MatMul", "Reshape"):
            maker = makers.get(name)
            if maker is None or maker.op_type != operator:
                return False
            # An addition of a bias may name either first; only one of the two is made by a product.
            products = [source for source in maker.input if source in makers and makers[source].op_type == "MatMul"]
            name = products[0] if operator == "Add" and products else maker.input[0]
        return True

    for node in copy.graph.node:
        if node.op_type == "Add" and is_attention(node.input[1]) and not is_attention(node.input[0]):
            node.input[0], node.input[1] = node.input[1], node.input[0]
    return copy


def _write_residuals_as_sums(model: ModelProto) -> None:
    constants = weights(model.graph)
    readers = consumers(model.graph)
    for node in model.graph.node:
        normalised = any(reader.op_type == "LayerNormalization" for reader in readers[node.output[0]])
        if node.op_type == "Add" and normalised and not any(name in constants for name in node.input):
            node.op_type = "Sum"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the optimiser: the record holds the fused operators."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
