"""Patient distillation: normalised hidden states of the first token (Sun et al. 2019, arXiv:1908.09355).

    loss = mean over layer pairs of || s / ||s|| - t / ||t|| ||^2

with s and t the hidden states of the first token, [CLS], of student and teacher. `layers` lists pairs [student layer,
teacher layer]; `uniform` pairs layer m of M with m * N / M of N. The paper leaves out the last layer, which the logits
cover. Where the widths differ s first goes through a learned projection, shared by all pairs. Shapes: `[batch, token,
hidden]` twice to `[batch]`. Unit: squared distance on the unit sphere, 0 to 4. Zero when the vectors point the same
way.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipestill.losses._base import LossInputs, require_features
from pipestill.losses._features import Reads, Sizes
from pipestill.losses._layers import layer_pairs, reads_pairs
from pipestill.losses.params import PatientKdSpec
from pipestill.sites import Site


def patient_kd(
    student_hidden: Float[Tensor, "batch hidden"], teacher_hidden: Float[Tensor, "batch hidden"]
) -> Float[Tensor, " batch"]:
    """Compute the squared distance of each row's first-token states, both scaled to length 1."""
    student = functional.normalize(student_hidden.float(), dim=-1)
    teacher = functional.normalize(teacher_hidden.float(), dim=-1)
    return (student - teacher).square().sum(dim=-1)


def per_row(spec: PatientKdSpec, inputs: LossInputs) -> Float[Tensor, " batch"]:
    """Compute the loss of each row; see `patient_kd`."""
    pair = require_features(inputs, spec.kind)
    losses = []
    for one, other in layer_pairs(spec.layers, pair.student.sizes, pair.teacher.sizes, first=1):
        student = pair.student.tensors[Site("hidden", one)][:, 0].float()
        if inputs.projection is not None:
            student = inputs.projection(student)
        losses.append(patient_kd(student, pair.teacher.tensors[Site("hidden", other)][:, 0]))
    return torch.stack(losses).mean(dim=0)


def reads(spec: PatientKdSpec, student: Sizes, teacher: Sizes) -> Reads:
    """Return the first token's hidden states of the paired layers."""
    return reads_pairs(("hidden",), layer_pairs(spec.layers, student, teacher, first=1), "first")
