"""An encoder with fewer layers, each pruned to fewer feed-forward units, whose weights are refit by least squares.

Feed-forward units are two thirds of a layer's arithmetic, and highly redundant. Each layer keeps the units that explain
most of the block's output on real rows, and their weights are refit to reproduce the full layer's output: see
pipestill/surgery/units.py for the formula and its source. Embeddings, attention, normalisation, pooler and
classification head are copied whole, so that the student's labels nearly equal its teacher's before any training;
keeping the units with the largest weights instead loses most of the accuracy.

Works for every encoder whose layers are named as in BERT: BERT, MiniLM, RoBERTa, ELECTRA, XLM-R. There are no random
weights.
"""

import copy
import re
from collections.abc import Mapping, Sequence

from transformers import AutoModelForSequenceClassification, PreTrainedModel

from pipestill.diagnostics import Diagnostic
from pipestill.errors import ModelError
from pipestill.students._base import Batch, Built
from pipestill.students.bert_layers import pick_layers
from pipestill.students.params import BertPrunedSpec
from pipestill.surgery.layers import chosen_layers
from pipestill.surgery.moments import measure_inputs
from pipestill.surgery.units import PrunedUnits, prune

_READER = re.compile(r"(.*\.layer\.\d+)\.output\.dense")
"""Name of the output layer of a feed-forward block; that of attention is `...layer.N.attention.output.dense`."""


def build(spec: BertPrunedSpec, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
    """Build the pruned encoder."""
    layers = pick_layers(initial, chosen_layers(spec.layers, int(initial.config.num_hidden_layers)))
    available = getattr(initial.config, "intermediate_size", None)
    readers = {name: module for name, module in layers.named_modules() if _READER.fullmatch(name)}
    if available is None or not readers:
        raise ModelError(
            "bert_pruned cannot find the feed-forward units of this encoder",
            found=type(initial).__name__,
            expected="layers named `...layer.<number>.output.dense`, as in BERT, RoBERTa, ELECTRA or XLM-R",
            next_step="choose another student kind for this teacher",
        )
    if spec.intermediate_size > available or not batches:
        raise ModelError(
            "a pruned student is wider than its initial model" if batches else "a pruned student needs rows to fit on",
            found=f"intermediate_size {spec.intermediate_size}, {len(batches)} batches",
            expected=f"at most {available}, and at least one batch of rows",
            next_step="correct this student's architecture in params.yaml",
        )
    moments = measure_inputs(layers, readers, batches)
    pruned = {
        name: prune(module.weight, module.bias, moments[name], spec.intermediate_size)
        for name, module in readers.items()
    }
    explained = [layer.explained_fraction for layer in pruned.values()]
    return Built(
        _assemble(layers, pruned, spec.intermediate_size),
        (
            Diagnostic(name="feed_forward_explained_fraction", value=sum(explained) / len(explained), unit="fraction"),
            Diagnostic(name="feed_forward_least_explained_fraction", value=min(explained), unit="fraction"),
        ),
    )


def _assemble(whole: PreTrainedModel, pruned: Mapping[str, PrunedUnits], units: int) -> PreTrainedModel:
    config = copy.deepcopy(whole.config)
    config.intermediate_size = units
    student: PreTrainedModel = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    state = dict(whole.state_dict())
    for reader, layer in pruned.items():
        writer = reader.replace(".output.dense", ".intermediate.dense")
        state |= {f"{writer}.{part}": state[f"{writer}.{part}"][layer.kept] for part in ("weight", "bias")}
        state |= {f"{reader}.weight": layer.weight, f"{reader}.bias": layer.bias}
    student.load_state_dict(state)
    return student
