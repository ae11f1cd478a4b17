"""A BERT with fewer layers and narrower ones: hidden size, heads and feed-forward units are cut.

The kept parts are chosen by the size of weights, which needs no data (as Michel et al. 2019, arXiv:1905.10650, and Hou
et al. 2020, arXiv:2004.04037, cut heads and units, there by their gradients):

    hidden dimension j   sum over the matrices M of the chosen layers and over the token table that read or write j, of
                         |M_j|^2 / |M|^2, so that each matrix counts the same: its share of the energy
    head h               |V_h| * |O_h|: its value rows times the columns of the output projection that read them
    dimension in a head  |Q_i| * |K_i| for queries and keys, |V_i| * |O_i| for values and output: the largest are kept
    feed-forward unit u  |W_in,u| * |W_out,u|

The same hidden dimensions are kept everywhere, in their order, since every layer adds to them; principal directions
(SVD) are not possible, because normalisation gains belong to single dimensions. Heads and units are chosen for each
layer separately. Queries are scaled so that attention scores keep their temperature. Pooler and classifier are cut
likewise. The shares of importance kept are recorded; there are no random weights. hidden_states are narrower
than the teacher's: a loss that matches them needs a learned projection.
"""

import copy
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel
from transformers.models.bert.modeling_bert import BertLayer, BertSelfAttention

from pipestill.diagnostics import Diagnostic
from pipestill.errors import ModelError
from pipestill.students._base import Built
from pipestill.students.params import BertNarrowSpec
from pipestill.surgery.bert import as_bert
from pipestill.surgery.layers import chosen_layers


def build(spec: BertNarrowSpec, initial: PreTrainedModel) -> Built:
    """Build a narrow BERT from a BERT."""
    teacher = as_bert(initial, spec.kind)
    _check(spec, teacher.config)
    numbers = chosen_layers(spec.layers, int(teacher.config.num_hidden_layers))
    chosen = [teacher.bert.encoder.layer[number] for number in numbers]
    config = copy.deepcopy(teacher.config)
    config.num_hidden_layers, config.num_attention_heads = len(chosen), spec.num_heads
    config.hidden_size, config.intermediate_size = spec.hidden_size, spec.intermediate_size
    student = BertForSequenceClassification(config)
    with torch.no_grad():
        hidden = keep(hidden_importance(teacher, chosen), spec.hidden_size)
        _fill_ends(student, teacher, hidden.kept)
        cuts = [
            _fill_layer(mine, theirs, hidden.kept, teacher.config)
            for mine, theirs in zip(student.bert.encoder.layer, chosen, strict=True)
        ]
    shares = {
        "hidden": hidden.share,
        "heads": sum(heads for heads, _ in cuts) / len(cuts),
        "feed_forward": sum(units for _, units in cuts) / len(cuts),
    }
    return Built(
        student,
        tuple(
            Diagnostic(name=f"{name}_importance_kept_fraction", value=min(share, 1.0), unit="fraction")
            for name, share in shares.items()
        ),
    )


def _check(spec: BertNarrowSpec, teacher: BertConfig) -> None:
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


class Kept(NamedTuple):
    """The kept parts, int64 in ascending order, and their share of the importance."""

    kept: Tensor
    share: float


def keep(importance: Tensor, count: int) -> Kept:
    """Keep the most important parts; of equal ones the earlier.

    Args:
        importance: importance of each part, float `[part]`, at least 0.
        count: number of parts to keep.
    """
    kept = torch.sort(importance, descending=True, stable=True).indices[:count].sort().values
    return Kept(kept, float(importance[kept].sum() / importance.sum().clamp(min=1e-300)))


def hidden_importance(teacher: BertForSequenceClassification, layers: Iterable[BertLayer]) -> Tensor:
    """Compute the importance of each hidden dimension, float64 `[hidden]`; see the module."""
    table = teacher.bert.embeddings.word_embeddings.weight.detach().double()
    total = _shares((table - table.mean(dim=0)).T)
    for layer in layers:
        attention = layer.attention.self
        readers = (attention.query, attention.key, attention.value, layer.intermediate.dense)
        writers = (layer.attention.output.dense, layer.output.dense)
        for part in readers:
            total = total + _shares(part.weight.detach().double().T)
        for part in writers:
            total = total + _shares(part.weight.detach().double())
    return total


def _shares(rows: Tensor) -> Tensor:
    """Compute each row's share of a matrix's energy."""
    energy = rows.square().sum(dim=1)
    return energy / energy.sum().clamp(min=1e-300)


def _fill_ends(student: BertForSequenceClassification, teacher: BertForSequenceClassification, kept: Tensor) -> None:
    """Cut embeddings, pooler and classifier."""
    mine, theirs = student.bert.embeddings, teacher.bert.embeddings
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        getattr(mine, name).weight.copy_(getattr(theirs, name).weight[:, kept])
    _fill(mine.LayerNorm, theirs.LayerNorm, kept, None)
    _fill(student.bert.pooler.dense, teacher.bert.pooler.dense, kept, kept)
    _fill(student.classifier, teacher.classifier, slice(None), kept)


def _fill_layer(student: BertLayer, teacher: BertLayer, hidden: Tensor, config: BertConfig) -> tuple[float, float]:
    """Cut one layer, and return the shares of importance that its heads and its feed-forward units keep."""
    mine, theirs = student.attention.self, teacher.attention.self
    out = teacher.attention.output.dense.weight.double()
    heads, scores, values = _head_cut(theirs, out, config, mine.num_attention_heads, mine.attention_head_size)
    # Scores are divided by the root of a head's width, which is smaller now.
    scale = (mine.attention_head_size / theirs.attention_head_size) ** 0.5
    _fill(mine.query, theirs.query, scores, hidden, scale)
    _fill(mine.key, theirs.key, scores, hidden)
    _fill(mine.value, theirs.value, values, hidden)
    _fill(student.attention.output.dense, teacher.attention.output.dense, hidden, values)
    _fill(student.attention.output.LayerNorm, teacher.attention.output.LayerNorm, hidden, None)
    into, back = teacher.intermediate.dense.weight.double(), teacher.output.dense.weight.double()
    units = keep(into.norm(dim=1) * back.norm(dim=0), student.intermediate.dense.out_features)
    _fill(student.intermediate.dense, teacher.intermediate.dense, units.kept, hidden)
    _fill(student.output.dense, teacher.output.dense, hidden, units.kept)
    _fill(student.output.LayerNorm, teacher.output.LayerNorm, hidden, None)
    return heads.share, units.share


def _head_cut(
    attention: BertSelfAttention, out: Tensor, config: BertConfig, num_heads: int, width: int
) -> tuple[Kept, Tensor, Tensor]:
    """Choose the heads to keep, and their rows to keep in queries and keys, and in values."""
    shape = (config.num_attention_heads, -1)
    query, key, value = (
        part.weight.double().norm(dim=1).view(shape) for part in (attention.query, attention.key, attention.value)
    )
    read = out.norm(dim=0).view(shape)
    heads = keep(value.square().sum(dim=1).sqrt() * read.square().sum(dim=1).sqrt(), num_heads)
    rows = []
    for importance in (query * key, value * read):
        first = [int(head) * importance.shape[1] + keep(importance[head], width).kept for head in heads.kept]
        rows.append(torch.cat(first))
    return heads, rows[0], rows[1]


def _fill(
    mine: nn.Linear | nn.LayerNorm,
    theirs: nn.Linear | nn.LayerNorm,
    rows: Tensor | slice,
    columns: Tensor | None,
    scale: float = 1.0,
) -> None:
    """Copy the chosen rows and columns of a layer's weight (a gain has no columns) and of its bias."""
    weight = theirs.weight[rows]
    mine.weight.copy_(scale * (weight if columns is None else weight[:, columns]))
    mine.bias.copy_(scale * theirs.bias[rows])
