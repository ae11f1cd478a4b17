"""Small edits of an ONNX graph: producers and consumers of tensors, cleaning up after an edit, writing.

Cleaning up is left to onnx-ir. Edits are made on the ONNX messages themselves, as ONNX Runtime's tools read and write
them: its order of nodes would change with onnx-ir's topological sort, and its constants keep the names that fusions
look for.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import onnx_ir as ir
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnx_ir.passes.common import (
    ClearMetadataAndDocStringPass,
    DeduplicateInitializersPass,
    RemoveUnusedNodesPass,
)

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


def without_unused(model: ModelProto) -> ModelProto:
    """Copy a model without the nodes and weights that no output needs."""
    return _passed(model, RemoveUnusedNodesPass())


def finish(model: ModelProto) -> ModelProto:
    """Copy a model in the form in which equal models are equal bytes.

    Unused nodes, prose and paths are gone, and so are shapes: after an edit they are stale, and the quantiser trusts
    them. Weights lie by name, equal ones once: shared layers (ALBERT) would otherwise be written once a layer.
    """
    finished = _passed(
        model,
        RemoveUnusedNodesPass(),
        DeduplicateInitializersPass(size_limit=sys.maxsize),
        RemoveUnusedNodesPass(),
        ClearMetadataAndDocStringPass(),
    )
    finished.producer_name, finished.producer_version, finished.doc_string = "pipestill", "", ""
    finished.graph.name = "classifier"
    del finished.graph.value_info[:]
    tensors = sorted((_copy(tensor) for tensor in finished.graph.initializer), key=lambda tensor: str(tensor.name))
    del finished.graph.initializer[:]
    finished.graph.initializer.extend(tensors)
    if not any(entry.domain == MICROSOFT for entry in finished.opset_import):
        finished.opset_import.append(onnx.helper.make_opsetid(MICROSOFT, 1))
    return finished


def _passed(model: ModelProto, *passes: "ir.passes.InPlacePass") -> ModelProto:
    """Apply passes to a copy of a model."""
    copy = ir.from_proto(model)
    for step in passes:
        step(copy)
    return ir.to_proto(copy)


def write_graph(model: ModelProto, path: Path) -> None:
    """Write a graph, with equal bytes for equal graphs."""
    write_bytes(path, model.SerializeToString(deterministic=True))


def _copy(message: M) -> M:
    """Copy a message out of its graph: clearing the graph's list would empty the message."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
