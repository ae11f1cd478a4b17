"""Equalisation of the inputs of int8 products: outlying channels are made smaller, and their weights larger.

    X W = (X / s) (s W)        s[channel] = max(1, largest[channel] / limit)

    largest[channel]   the largest absolute value of the channel over the calibration rows
    limit              the `usual_quantile` of largest over the channels

The activations of a product share one scale, so a single channel of 30 where all others stay below 5 costs every other
channel most of its 8 bits. BERTs have such channels: one or two hidden dimensions and one feed-forward unit a layer.
This is the migration of SmoothQuant (Xiao et al. 2022, arXiv:2211.10438) for the outlying channels alone. The graph
computes the same in floats. Evenly distributed inputs are left alone, since each multiplication costs some microseconds
a call.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from pipestill.exporters._graph import add_weight, copy_of, finish, replace_nodes, weights
from pipestill.exporters.params import Equalisation
from pipestill.exporters.session import open_session, pad

PRODUCTS = ("MatMul", "Attention")
"""Operators that multiply their first input with the rows of a weight."""


class Equalised(NamedTuple):
    """A copy of the graph, and the number of products' inputs that it divides."""

    model: ModelProto
    num_inputs: int


def equalise(model: ModelProto, rows: Sequence[Sequence[int]], params: Equalisation, *, pad_id: int) -> Equalised:
    """Divide the outlying channels of products' inputs, and multiply the matching rows of their weights.

    Weights that several layers share stay shared: their inputs are divided by the same scales.

    Args:
        model: fp32 graph to copy.
        rows: token ids of calibration rows; without rows nothing is equalised.
        params: rule by which inputs are equalised.
        pad_id: padding id of the tokenizer.

    Returns:
        A graph that computes the same up to rounding.
    """
    copy = copy_of(model)
    inputs = _inputs_by_weight(copy.graph)
    names = sorted({name for group in inputs.values() for name in group})
    if not names or not rows:
        return Equalised(copy, 0)
    largest = largest_by_channel(model, names, rows, pad_id=pad_id)
    scales = {
        group: divisors(np.max([largest[name] for name in group], axis=0), params) for group in set(inputs.values())
    }
    num_inputs = _divide(copy.graph, inputs, {group: scale for group, scale in scales.items() if scale is not None})
    return Equalised(finish(copy), num_inputs)


def divisors(largest: np.ndarray, params: Equalisation) -> np.ndarray | None:
    """Compute the divisors of an input's channels.

    Args:
        largest: largest absolute value of each channel, float32 [channel].
        params: rule by which inputs are equalised.

    Returns:
        The divisors, float32 [channel], at least 1; None without outlying channels.
    """
    limit = float(np.quantile(largest, params.usual_quantile))
    if limit <= 0 or largest.max() <= params.min_outlier_ratio * limit:
        return None
    return np.maximum(1, largest / np.float32(limit)).astype(np.float32)


def largest_by_channel(
    model: ModelProto, names: Sequence[str], rows: Sequence[Sequence[int]], *, pad_id: int
) -> dict[str, np.ndarray]:
    """Run rows one by one and note each channel's largest absolute value.

    Args:
        model: graph to run.
        names: tensors to observe, each float32 [..., channel].
        rows: token ids; at least one row.
        pad_id: padding id of the tokenizer.

    Returns:
        The largest values by tensor, float32 [channel].
    """
    watched = copy_of(model)
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = open_session(watched)
    inputs = [value.name for value in session.get_inputs()]
    found: dict[str, np.ndarray] = {}
    for row in rows:
        batch = pad([row], pad_id=pad_id)
        values = session.run(list(names), {name: batch[name] for name in inputs})
        for name, value in zip(names, values, strict=True):
            largest = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
            found[name] = np.maximum(found[name], largest) if name in found else largest
    return found


def _inputs_by_weight(graph: GraphProto) -> dict[str, tuple[str, ...]]:
    """Map each weight's name to the inputs that it is multiplied with."""
    constants = weights(graph)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for node in graph.node:
        if _is_product(node, constants):
            found[node.input[1]].add(node.input[0])
    return {weight: tuple(sorted(inputs)) for weight, inputs in found.items()}


def _is_product(node: NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    return node.op_type in PRODUCTS and node.input[0] not in constants and node.input[1] in constants


def _divide(
    graph: GraphProto, inputs: Mapping[str, tuple[str, ...]], scales: Mapping[tuple[str, ...], np.ndarray]
) -> int:
    """Insert a multiplication before products; products with the same inputs and scales share it."""
    constants = weights(graph)
    prefixes = {group: f"equalised/{number}" for number, group in enumerate(sorted(scales))}
    divisions: dict[str, NodeProto] = {}
    for node in graph.node:
        group = inputs[node.input[1]] if _is_product(node, constants) else ()
        if group not in scales:
            continue
        source, weight, scale = node.input[0], node.input[1], scales[group]
        divided = f"{prefixes[group]}/{source}"
        factors = add_weight(graph, f"{prefixes[group]}/factors", 1 / scale)
        divisions.setdefault(divided, helper.make_node("Mul", [source, factors], [divided], name=divided))
        heavier = numpy_helper.to_array(constants[weight]) * scale[:, None]
        node.input[:2] = [divided, add_weight(graph, f"{weight}/equalised", heavier)]
    replace_nodes(graph, [*divisions.values(), *graph.node])
    return len(divisions)
