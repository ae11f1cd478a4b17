"""Relations between tokens in one layer (MiniLM, arXiv:2002.10957, and MiniLMv2, arXiv:2012.15828).

    loss = mean over parts, relation heads and real tokens of KL(teacher_relation || student_relation)
    relation = softmax over real tokens of a a^T / sqrt(width of a relation head), a one of queries, keys, values

Queries, keys and values are cut into `relation_heads` heads whatever the number of attention heads, so that teacher and
student may have other widths and heads. The papers take the student's last layer, and for large teachers one of the
upper middle. Shapes: `[batch, token, hidden]` of both, of other widths, and `[batch, token]` to `[batch]`. Unit: nats.
Zero when the relations are equal.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipestill.errors import ModelError
from pipestill.losses._base import LossInputs, require_features
from pipestill.losses._features import Reads, Sizes
from pipestill.losses._layers import layer_pairs, reads_pairs
from pipestill.losses._products import clean, products_kl, scaled_products
from pipestill.losses.params import MinilmRelationsSpec
from pipestill.sites import Site


def relation_kl(
    student: Float[Tensor, "batch token student_hidden"],
    teacher: Float[Tensor, "batch token teacher_hidden"],
    real: Bool[Tensor, "batch token"],
    relation_heads: int,
) -> Float[Tensor, " batch"]:
    """Compute KL(teacher || student) of each row's relations, averaged over relation heads and real tokens."""
    student, teacher = clean(student, real), clean(teacher, real)
    return products_kl(
        scaled_products(student, student, relation_heads), scaled_products(teacher, teacher, relation_heads), real
    )


def per_row(spec: MinilmRelationsSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `relation_kl`."""
    pair = require_features(inputs, spec.kind)
    ((one, other),) = _layers(spec, pair.student.sizes, pair.teacher.sizes)
    losses = [
        relation_kl(
            pair.student.tensors[Site(part, one)],
            pair.teacher.tensors[Site(part, other)],
            pair.real,
            spec.relation_heads,
        )
        for part in spec.parts
    ]
    return torch.stack(losses).mean(dim=0)


def reads(spec: MinilmRelationsSpec, student: Sizes, teacher: Sizes) -> Reads:
    """Return the queries, keys and values of one layer."""
    if student.hidden_size % spec.relation_heads or teacher.hidden_size % spec.relation_heads:
        raise ModelError(
            "relation_heads has to divide the hidden sizes of student and teacher",
            found=f"{spec.relation_heads} heads, widths {student.hidden_size} and {teacher.hidden_size}",
            next_step="correct `relation_heads` of this loss in params.yaml",
        )
    return reads_pairs(spec.parts, _layers(spec, student, teacher), "all")


def _layers(spec: MinilmRelationsSpec, student: Sizes, teacher: Sizes) -> tuple[tuple[int, int], ...]:
    return layer_pairs(((spec.student_layer, spec.teacher_layer),), student, teacher, first=1)
