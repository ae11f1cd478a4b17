"""A student that is an ALBERT (Lan et al. 2019, arXiv:1909.11942), made from a BERT.

One layer is shared by all depths, and the embedding is a product of two factors. The arithmetic, which the training
record states for each student (V words, H hidden, d embedding_size, n num_layers, theta parameters of a layer):

    embedding   V * H      becomes   V * d + d * H
    layers      n * theta  becomes   theta

**Embedding.** BERT normalises word + position + type over the hidden axis, which removes its mean, so rows are centred
first. Their d principal directions carry the tables (surgery/directions.py; words count as often as the first training
rows have them, positions likewise, and all words as much as all positions); the share of the energy that they keep is
reported. The directions are rotated so that the mean over the d axes, which ALBERT's own normalisation removes, is the
weakest of them, and its gain sqrt(H / d) restores the length: with d = H the output is BERT's, exactly. BERT's gain and
bias go into the projection from d to H.

**Layer.** `layers` names the teacher's layers that the shared one is made from: a single one is copied, several are
averaged. Units of different layers do not correspond, so an average is a rougher start than a copy.
Pooler, classifier and activation are BERT's. With d = H, one layer and num_layers 1 the student equals the teacher cut
to that layer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import AlbertConfig, AlbertForSequenceClassification, AlbertModel, BertConfig, PreTrainedModel
from transformers.models.albert.modeling_albert import AlbertLayer
from transformers.models.bert.modeling_bert import BertEmbeddings, BertLayer

from pipestill.diagnostics import Diagnostic
from pipestill.students._base import Batch, Built
from pipestill.students.params import AlbertSpec
from pipestill.surgery.bert import as_bert
from pipestill.surgery.directions import Directions, count_occurrences, principal_directions
from pipestill.surgery.layers import chosen_layers

_NAMES = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.dense": "attention.output.dense",
    "attention.LayerNorm": "attention.output.LayerNorm",
    "ffn": "intermediate.dense",
    "ffn_output": "output.dense",
    "full_layer_layer_norm": "output.LayerNorm",
}
"""The parts of a layer: ALBERT's name and BERT's."""


def build(spec: AlbertSpec, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
    """Build an ALBERT from a BERT."""
    teacher = as_bert(initial, spec.kind)
    layers = chosen_layers(spec.layers, int(teacher.config.num_hidden_layers))
    student = AlbertForSequenceClassification(_config(teacher.config, spec.embedding_size, spec.num_layers))
    with torch.no_grad():
        directions = _fill_embedding(student.albert, teacher.bert.embeddings, batches)
        shared = student.albert.encoder.albert_layer_groups[0].albert_layers[0]
        _fill_layer(shared, [teacher.bert.encoder.layer[layer] for layer in layers])
        student.albert.pooler.load_state_dict(teacher.bert.pooler.dense.state_dict())
        student.classifier.load_state_dict(teacher.classifier.state_dict())
    return Built(student, _diagnostics(student, teacher.config, directions))


def _config(bert: BertConfig, embedding_size: int, num_layers: int) -> AlbertConfig:
    return AlbertConfig(
        vocab_size=bert.vocab_size,
        embedding_size=embedding_size,
        hidden_size=bert.hidden_size,
        num_hidden_layers=num_layers,
        num_hidden_groups=1,
        inner_group_num=1,
        num_attention_heads=bert.num_attention_heads,
        intermediate_size=bert.intermediate_size,
        hidden_act=bert.hidden_act,
        hidden_dropout_prob=bert.hidden_dropout_prob,
        attention_probs_dropout_prob=bert.attention_probs_dropout_prob,
        classifier_dropout_prob=bert.hidden_dropout_prob,
        max_position_embeddings=bert.max_position_embeddings,
        type_vocab_size=bert.type_vocab_size,
        initializer_range=bert.initializer_range,
        layer_norm_eps=bert.layer_norm_eps,
        pad_token_id=bert.pad_token_id,
        bos_token_id=bert.bos_token_id,
        eos_token_id=bert.eos_token_id,
        id2label=bert.id2label,
        label2id=bert.label2id,
    )


def _fill_embedding(albert: AlbertModel, bert: BertEmbeddings, batches: Sequence[Batch]) -> Directions:
    """Project BERT's embeddings on their principal directions, and return these, for words and positions."""
    tables = {
        name: _centred(getattr(bert, name).weight)
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings")
    }
    size = albert.embeddings.word_embeddings.embedding_dim
    words, positions = tables["word_embeddings"], tables["position_embeddings"]
    found = count_occurrences(batches, num_tokens=len(words), num_positions=len(positions))
    directions = principal_directions([(words, found.tokens), (positions, found.positions)], size)
    axes = directions.vectors @ _last_to_mean(size)
    for name, table in tables.items():
        getattr(albert.embeddings, name).weight.copy_(table @ axes)
    hidden = len(axes)
    albert.embeddings.LayerNorm.weight.fill_((hidden / size) ** 0.5)
    albert.embeddings.LayerNorm.bias.zero_()
    projection = albert.encoder.embedding_hidden_mapping_in
    projection.weight.copy_(bert.LayerNorm.weight.double()[:, None] * axes)
    projection.bias.copy_(bert.LayerNorm.bias)
    return directions


def _centred(table: Tensor) -> Tensor:
    rows = table.double()
    return rows - rows.mean(dim=1, keepdim=True)


def _last_to_mean(size: int) -> Tensor:
    """Return a reflection `[size, size]` that maps the last axis to (1, ..., 1) / sqrt(size)."""
    mean = torch.full((size,), size**-0.5, dtype=torch.float64)
    last = torch.zeros(size, dtype=torch.float64)
    last[-1] = 1
    difference = last - mean
    length = difference.square().sum()
    if length == 0:
        return torch.eye(size, dtype=torch.float64)
    return torch.eye(size, dtype=torch.float64) - 2 * torch.outer(difference, difference) / length


def _fill_layer(shared: AlbertLayer, layers: list[BertLayer]) -> None:
    """Set the shared layer to the mean of some layers."""
    for mine, theirs in _NAMES.items():
        parts = [layer.get_submodule(theirs).state_dict() for layer in layers]
        mean = {name: torch.stack([part[name] for part in parts]).mean(dim=0) for name in parts[0]}
        shared.get_submodule(mine).load_state_dict(mean)


def _diagnostics(
    student: AlbertForSequenceClassification, bert: BertConfig, directions: Directions
) -> tuple[Diagnostic, ...]:
    """Return the arithmetic of the module's docstring, and the energy that the embedding keeps."""
    config = student.config
    words, hidden, size = bert.vocab_size, bert.hidden_size, config.embedding_size
    theta = sum(parameter.numel() for parameter in student.albert.encoder.albert_layer_groups.parameters())
    counts = {
        "embedding_unfactorised_parameters": words * hidden,
        "embedding_factorised_parameters": words * size + size * hidden,
        "layers_unshared_parameters": config.num_hidden_layers * theta,
        "layers_shared_parameters": theta,
    }
    shares = zip(("word", "position"), directions.energy_fractions, strict=True)
    return (
        *(Diagnostic(name=name, value=count, unit="parameters") for name, count in counts.items()),
        *(
            Diagnostic(name=f"{name}_embedding_energy_kept_fraction", value=share, unit="fraction")
            for name, share in shares
        ),
    )
