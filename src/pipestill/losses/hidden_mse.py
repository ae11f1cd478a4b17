"""Squared difference of hidden states, layer by layer: the feature map (TinyBERT, Jiao et al. 2019, arXiv:1909.10351).

    loss = mean over layer pairs, real tokens and hidden of (W student_hidden - teacher_hidden)^2

`layers` lists pairs [student layer, teacher layer]: 0 is the input of the first layer (the embeddings), -1 the last;
`uniform` pairs layer m of M with m * N / M of N, the embeddings included. W is learned with the student and shared by
all pairs, as in TinyBERT; it is omitted where the widths are equal. Shapes: `[batch, token, hidden]` twice and `[batch,
token]` to `[batch]`. Unit: squared activations. Zero when the (projected) hidden states are equal.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipestill.losses._base import LossInputs, require_features
from pipestill.losses._features import Reads, Sizes
from pipestill.losses._layers import layer_pairs, reads_pairs
from pipestill.losses._products import clean, token_mean
from pipestill.losses.params import HiddenMseSpec
from pipestill.sites import Site


def hidden_mse(
    student_hidden: Float[Tensor, "batch token hidden"],
    teacher_hidden: Float[Tensor, "batch token hidden"],
    real: Bool[Tensor, "batch token"],
) -> Float[Tensor, " batch"]:
    """Compute the mean squared difference of each row's hidden states over real tokens and hidden."""
    difference = clean(student_hidden, real) - clean(teacher_hidden, real)
    return token_mean(difference.square().mean(dim=-1), real)


def per_row(spec: HiddenMseSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `hidden_mse`."""
    pair = require_features(inputs, spec.kind)
    losses = []
    for one, other in layer_pairs(spec.layers, pair.student.sizes, pair.teacher.sizes, first=0):
        student = clean(pair.student.tensors[Site("hidden", one)], pair.real)
        if inputs.projection is not None:
            student = inputs.projection(student)
        losses.append(hidden_mse(student, pair.teacher.tensors[Site("hidden", other)], pair.real))
    return torch.stack(losses).mean(dim=0)


def reads(spec: HiddenMseSpec, student: Sizes, teacher: Sizes) -> Reads:
    """Return the hidden states of the paired layers."""
    return reads_pairs(("hidden",), layer_pairs(spec.layers, student, teacher, first=0), "all")
