"""Small edits of an ONNX graph: producers and consumers of tensors, cleaning up after an edit, writing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from pipestill.errors import ExportError
from pipestill.records import write_bytes

MICROSOFT = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""
M = TypeVar("M", NodeProto, TensorProto)


def copy_of(model: ModelProto) -> ModelProto:
    """Copy a model, so that an edit leaves the original as it is."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def producers(graph: GraphProto) -> dict[str, NodeProto]:
    """Map each tensor's name to the node that makes it."""
    return {output: node for node in graph.node for output in node.output}


def consumers(graph: GraphProto) -> Mapping[str, list[NodeProto]]:
    """Map each tensor's name to the nodes that read it."""
    readers: defaultdict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    return readers


def weights(graph: GraphProto) -> dict[str, TensorProto]:
    """Return the constants of a graph (its initializers), by name."""
    return {tensor.name: tensor for tensor in graph.initializer}


def attribute(node: NodeProto, name: str, default: int) -> int:
    """Read an integer attribute of a node."""
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def count_operators(graph: GraphProto) -> Counter[str]:
    """Count the nodes of each operator."""
    return Counter(node.op_type for node in graph.node)


def add_weight(graph: GraphProto, name: str, value: np.ndarray) -> str:
    """Add a constant under a new name and return that name; the first of two equal names wins."""
    if name not in weights(graph):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def replace_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Set the nodes of a graph in an order in which every tensor is made before it is read.

    Nodes keep the given order where possible, so that equal graphs stay equal bytes.
    """
    made = {""} | set(weights(graph)) | {value.name for value in graph.input}
    waiting = list(nodes)
    ordered: list[NodeProto] = []
    while waiting:
        later = []
        for node in waiting:
            if all(name in made for name in node.input):
                ordered.append(node)
                made.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise ExportError("the edited graph has a loop", found=[node.name for node in later[:5]])
        waiting = later
    copies = [_copy(node) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def constants_to_weights(graph: GraphProto) -> None:
    """Turn Constant nodes, and Identity or Transpose of a weight, into weights.

    The quantiser does not find a weight behind such a node, which then silently stays float.
    """
    kept: list[NodeProto] = []
    known = weights(graph)
    renamed: dict[str, str] = {}
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
        value = _constant_value(node, known)
        if value is None:
            kept.append(node)
        elif isinstance(value, str):
            renamed[node.output[0]] = value
        else:
            tensor = numpy_helper.from_array(value, node.output[0])
            graph.initializer.append(tensor)
            known[tensor.name] = tensor
    outputs = {value.name for value in graph.output}
    if outputs & set(renamed):
        raise ExportError("the exported graph returns a constant", found=sorted(outputs & set(renamed)))
    copies = [_copy(node) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _constant_value(node: NodeProto, known: Mapping[str, TensorProto]) -> np.ndarray | str | None:
    if node.op_type == "Constant" and node.attribute[0].name == "value":
        return numpy_helper.to_array(node.attribute[0].t)
    if node.op_type == "Identity" and node.input[0] in known:
        return str(node.input[0])
    if node.op_type == "Transpose" and node.input[0] in known:
        axes = next((list(item.ints) for item in node.attribute if item.name == "perm"), None)
        return np.ascontiguousarray(numpy_helper.to_array(known[node.input[0]]).transpose(axes))
    return None


def merge_equal_weights(graph: GraphProto) -> None:
    """Store equal weights once: shared layers (ALBERT) would otherwise be written once a layer."""
    first: dict[tuple[object, ...], str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for tensor in graph.initializer:
        content = numpy_helper.to_array(tensor)
        key = (tensor.data_type, tuple(tensor.dims), content.tobytes())
        renamed[tensor.name] = first.setdefault(key, tensor.name)
        if renamed[tensor.name] == tensor.name:
            kept.append(_copy(tensor))
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
    del graph.initializer[:]
    graph.initializer.extend(kept)


def drop_unused(graph: GraphProto) -> None:
    """Remove nodes and weights that no output needs."""
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(_copy(node))
            needed.update(node.input)
    tensors = [_copy(tensor) for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:]
    graph.node.extend(reversed(kept))
    del graph.initializer[:]
    graph.initializer.extend(tensors)


def finish(model: ModelProto) -> ModelProto:
    """Normalise a model to equal bytes for equal models: without stale shapes, prose and paths, weights by name."""
    drop_unused(model.graph)
    merge_equal_weights(model.graph)
    drop_unused(model.graph)
    model.producer_name, model.producer_version, model.doc_string = "pipestill", "", ""
    del model.metadata_props[:]
    # Shapes written before an edit are wrong after it, and the quantiser trusts them.
    del model.graph.value_info[:]
    model.graph.name = "classifier"
    tensors = sorted((_copy(tensor) for tensor in model.graph.initializer), key=lambda tensor: str(tensor.name))
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    if not any(entry.domain == MICROSOFT for entry in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    return model


def write_graph(model: ModelProto, path: Path) -> None:
    """Write a graph, with equal bytes for equal graphs."""
    write_bytes(path, model.SerializeToString(deterministic=True))


def _copy(message: M) -> M:
    """Copy a message out of its graph: clearing the graph's list would empty the message."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
