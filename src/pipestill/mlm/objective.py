"""The loss of a task-agnostic student (DistilBERT, Sanh et al. 2019, arXiv:1910.01108), position by position.

    loss = hard_weight * -log q[original token]
         + soft_weight * T^2 * KL(teacher || student over the teacher's k tokens and the rest; see soft_targets)
         + cosine_weight * (1 - cos(student's last hidden state, teacher's))

with q the student's probabilities at T = 1. Shapes: `[masked, token]` and `[masked, hidden]` to `[masked]`. Unit: nats,
nats times T^2, and 1 minus a cosine (0 to 2). Zero points: the first is 0 where the original token has all the mass,
the second for a student whose distribution equals the teacher's, the third for one whose hidden states have the
teacher's direction. DistilBERT takes the cosine over all tokens; here it is over the masked ones only, so that the
cache holds a seventh of the hidden states.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from pipestill.mlm.params import MlmWeights
from pipestill.mlm.soft_targets import TopTokens, top_token_kl

HARD_ONLY = MlmWeights(hard_weight=1.0, soft_weight=0.0, cosine_weight=0.0)
"""Weights of masked language modelling without a teacher."""


@dataclass(frozen=True)
class Taught:
    """The teacher's targets at the masked positions.

    Attributes:
        top: most probable tokens at `temperature`.
        hidden: last hidden states of the teacher.
        temperature: T of the soft targets.
    """

    top: TopTokens
    hidden: Float[Tensor, "masked hidden"]
    temperature: float


def masked_loss(
    logits: Float[Tensor, "masked token"],
    hidden: Float[Tensor, "masked hidden"],
    original_ids: Int[Tensor, " masked"],
    taught: Taught | None,
    weights: MlmWeights,
) -> Float[Tensor, " masked"]:
    """Compute the loss at each masked position; see the module.

    Args:
        logits: logits of the student.
        hidden: last hidden states of the student.
        original_ids: token ids before masking.
        taught: targets of the teacher; None without a teacher, where only `hard_weight` applies.
        weights: weights of the three losses.
    """
    loss = weights.hard_weight * functional.cross_entropy(logits.float(), original_ids, reduction="none")
    if taught is None:
        return loss
    soft = top_token_kl(logits, taught.top, taught.temperature)
    cosine = 1 - functional.cosine_similarity(hidden.float(), taught.hidden.detach().float(), dim=-1)
    return loss + weights.soft_weight * soft + weights.cosine_weight * cosine
