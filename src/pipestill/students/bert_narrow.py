"""A BERT with fewer layers and narrower ones, whose weights are refit by least squares on real rows.

Hidden size, heads and feed-forward units are cut. The same hidden dimensions are kept everywhere, since every layer
adds to them; principal directions are not possible, because normalisation gains belong to single dimensions (BERT
normalises after each block, unlike the models of SliceGPT, arXiv:2401.15024). With x the vector that a matrix reads on
the tokens of `calibration_rows`, and S the kept dimensions:

    hidden dimensions  S is chosen by forward selection (surgery/units.py) to explain what all matrices that read hidden
                       states make of them, each matrix counted the same
    a reading matrix   is refit on x_S to reproduce its outputs (surgery/affine.py)
    a writing matrix   keeps the rows S
    heads              those with the most energy, each with the best approximation of its scores and of its output that
                       fewer dimensions allow (surgery/heads.py)
    feed-forward units pruned and refit as in bert_pruned (surgery/units.py)

The closest in the literature cut units, heads and dimensions by the size or the gradient of their weights (Michel et
al. 2019, arXiv:1905.10650; Hou et al. 2020, arXiv:2004.04037) and leave the rest to training. There are no random
weights. hidden_states are narrower than the teacher's: a loss that matches them needs a learned projection.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel
from transformers.models.bert.modeling_bert import BertLayer

from pipestill.diagnostics import Diagnostic
from pipestill.errors import ModelError
from pipestill.students._base import Batch, Built
from pipestill.students.bert_layers import pick_layers
from pipestill.students.params import BertNarrowSpec
from pipestill.surgery.affine import Affine, refit
from pipestill.surgery.bert import as_bert
from pipestill.surgery.heads import Heads, narrow_heads
from pipestill.surgery.layers import chosen_layers
from pipestill.surgery.moments import Moments, measure_inputs
from pipestill.surgery.units import choose, prune

Explained = dict[str, float]
"""Shares of variance that are reproduced, by the part that was cut: hidden, heads, feed_forward."""


def build(spec: BertNarrowSpec, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
    """Build a narrow BERT from a BERT."""
    numbers = chosen_layers(spec.layers, int(as_bert(initial, spec.kind).config.num_hidden_layers))
    whole = as_bert(pick_layers(initial, numbers), spec.kind)
    _check(spec, whole.config, batches)
    moments = measure_inputs(whole, _readers(whole), batches)
    hidden = _choose_hidden(whole, moments, spec.hidden_size)
    student = BertForSequenceClassification(_config(whole.config, spec))
    _fill_embeddings(student, whole, hidden)
    pairs = zip(student.bert.encoder.layer, whole.bert.encoder.layer, strict=True)
    explained = [
        _fill_layer(mine, theirs, hidden, _Layer(number), moments) for number, (mine, theirs) in enumerate(pairs)
    ]
    explained.append(_fill_head(student, whole, hidden, moments))
    return Built(student, _diagnostics(explained))


def _config(whole: BertConfig, spec: BertNarrowSpec) -> BertConfig:
    config = copy.deepcopy(whole)
    config.num_attention_heads, config.hidden_size = spec.num_heads, spec.hidden_size
    config.intermediate_size = spec.intermediate_size
    return config


def _check(spec: BertNarrowSpec, teacher: BertConfig, batches: Sequence[Batch]) -> None:
    found = {
        "hidden_size": (spec.hidden_size, teacher.hidden_size),
        "num_heads": (spec.num_heads, teacher.num_attention_heads),
        "intermediate_size": (spec.intermediate_size, teacher.intermediate_size),
        "hidden_size / num_heads": (
            spec.hidden_size // spec.num_heads,
            teacher.hidden_size // teacher.num_attention_heads,
        ),
    }
    if wrong := {name: sizes for name, sizes in found.items() if sizes[0] > sizes[1]}:
        raise ModelError(
            "a narrow student is wider than its initial model",
            found=", ".join(f"{name} {mine}" for name, (mine, _) in wrong.items()),
            expected=", ".join(f"{name} at most {theirs}" for name, (_, theirs) in wrong.items()),
            next_step="correct this student's architecture in params.yaml",
        )
    if not batches:
        raise ModelError(
            "a narrow student needs rows to fit on",
            found="0 batches",
            expected="at least one batch of rows",
            next_step="correct this student's rows in params.yaml",
        )


class _Layer:
    """Names of the vectors that one layer reads."""

    def __init__(self, number: int) -> None:
        self.attention, self.feed_forward, self.units = (
            f"{number}.{name}" for name in ("attention", "feed_forward", "units")
        )


def _readers(model: BertForSequenceClassification) -> dict[str, nn.Module]:
    """List one module for each vector to measure, by the vector's name."""
    readers: dict[str, nn.Module] = {"pooler": model.bert.pooler.dense, "classifier": model.classifier}
    for number, layer in enumerate(model.bert.encoder.layer):
        names = _Layer(number)
        readers[names.attention] = layer.attention.self.query
        readers[names.feed_forward] = layer.intermediate.dense
        readers[names.units] = layer.output.dense
    return readers


def _choose_hidden(
    model: BertForSequenceClassification, moments: Mapping[str, Moments], count: int
) -> Int[Tensor, " hidden"]:
    """Choose the hidden dimensions to keep, in ascending order; see the module."""
    readers = [("pooler", model.bert.pooler.dense)]
    for number, layer in enumerate(model.bert.encoder.layer):
        names, attention = _Layer(number), layer.attention.self
        readers += [(names.attention, part) for part in (attention.query, attention.key, attention.value)]
        readers.append((names.feed_forward, layer.intermediate.dense))
    covariances = [moments[name].covariance for name, _ in readers]
    products = torch.zeros_like(covariances[0])
    for (_, module), covariance in zip(readers, covariances, strict=True):
        weight = module.weight.detach().double()
        products += weight.T @ weight / (weight @ covariance * weight).sum().clamp(min=1e-300)
    # The effect |R x|^2 of all matrices R together depends on R'R alone, whose root is smaller than R.
    values, vectors = torch.linalg.eigh(products)
    root = values.clamp(min=0).sqrt()[:, None] * vectors.T
    return choose(root, torch.stack(covariances).mean(dim=0), count)


def _fill_embeddings(
    student: BertForSequenceClassification, whole: BertForSequenceClassification, hidden: Tensor
) -> None:
    mine, theirs = student.bert.embeddings, whole.bert.embeddings
    with torch.no_grad():
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
            getattr(mine, name).weight.copy_(getattr(theirs, name).weight[:, hidden])
    _fill_norm(mine.LayerNorm, theirs.LayerNorm, hidden)


def _fill_norm(mine: nn.LayerNorm, theirs: nn.LayerNorm, hidden: Tensor) -> None:
    with torch.no_grad():
        mine.weight.copy_(theirs.weight[hidden])
        mine.bias.copy_(theirs.bias[hidden])


def _fill_layer(
    mine: BertLayer, theirs: BertLayer, hidden: Tensor, names: _Layer, moments: Mapping[str, Moments]
) -> Explained:
    """Cut one layer."""
    read, source = moments[names.attention], theirs.attention.self
    query, key, value = (refit(Affine.of(part), read, hidden) for part in (source.query, source.key, source.value))
    attention = narrow_heads(
        Heads(query.map, key.map, value.map, Affine.of(theirs.attention.output.dense).outputs(hidden)),
        read.of(hidden),
        available=source.num_attention_heads,
        num_heads=mine.attention.self.num_attention_heads,
        width=mine.attention.self.attention_head_size,
    )
    targets = (mine.attention.self.query, mine.attention.self.key, mine.attention.self.value)
    for found, target in zip(attention.heads, (*targets, mine.attention.output.dense), strict=True):
        found.write(target)
    into = refit(Affine.of(theirs.intermediate.dense), moments[names.feed_forward], hidden)
    back = Affine.of(theirs.output.dense).outputs(hidden)
    units = prune(back.weight, back.bias, moments[names.units], mine.intermediate.dense.out_features)
    into.map.outputs(units.kept).write(mine.intermediate.dense)
    Affine(units.weight, units.bias).write(mine.output.dense)
    _fill_norm(mine.attention.output.LayerNorm, theirs.attention.output.LayerNorm, hidden)
    _fill_norm(mine.output.LayerNorm, theirs.output.LayerNorm, hidden)
    return {
        "hidden": _mean([part.explained_fraction for part in (query, key, value, into)]),
        "heads": attention.kept_fraction,
        "feed_forward": units.explained_fraction,
    }


def _fill_head(
    student: BertForSequenceClassification,
    whole: BertForSequenceClassification,
    hidden: Tensor,
    moments: Mapping[str, Moments],
) -> Explained:
    """Cut pooler and classifier."""
    outputs = prune(whole.classifier.weight, whole.classifier.bias, moments["classifier"], len(hidden))
    Affine(outputs.weight, outputs.bias).write(student.classifier)
    pooler = refit(Affine.of(whole.bert.pooler.dense).outputs(outputs.kept), moments["pooler"], hidden)
    pooler.map.write(student.bert.pooler.dense)
    return {"hidden": pooler.explained_fraction}


def _diagnostics(explained: Sequence[Explained]) -> tuple[Diagnostic, ...]:
    parts = explained[0]
    return tuple(
        Diagnostic(
            name=f"{part}_explained_fraction",
            value=_mean([found[part] for found in explained if part in found]),
            unit="fraction",
        )
        for part in parts
    )


def _mean(shares: Sequence[float]) -> float:
    return sum(shares) / len(shares)
