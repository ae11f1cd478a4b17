"""What a task-agnostic student minimises (DistilBERT, Sanh et al. 2019, arXiv:1910.01108), position by position.

    loss = hard_weight * -log q[original token]
         + soft_weight * T^2 * KL(teacher || student over the teacher's k tokens and the rest; see soft_targets)
         + cosine_weight * (1 - cos(student's last hidden state, teacher's))

with q the student's probabilities at T = 1. Shapes: `[masked, token]` and `[masked, hidden]` to `[masked]`. Unit: nats,
nats times T^2, and 1 minus a cosine (0 to 2). Zero points: the first is 0 where the original token has all the mass,
the second for a student that says what the teacher says, the third for one whose hidden states point where the
teacher's do. DistilBERT takes the cosine over all tokens; here it is over the masked ones, for which alone the cache
holds hidden states: a seventh of the bytes.
"""

from dataclasses import dataclass
from typing import Self

from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from pipestill.mlm.soft_targets import TopTokens, top_token_kl
from pipestill.params import Section


class MlmWeights(Section):
    """How much each of the three losses counts; see the module. DistilBERT's are 2, 5 and 1."""

    hard_weight: float = Field(ge=0)
    soft_weight: float = Field(ge=0)
    cosine_weight: float = Field(ge=0)

    @model_validator(mode="after")
    def _something_is_learned(self) -> Self:
        if not self.hard_weight + self.soft_weight + self.cosine_weight:
            raise ValueError("all weights are 0: nothing would be learned")
        return self


HARD_ONLY = MlmWeights(hard_weight=1.0, soft_weight=0.0, cosine_weight=0.0)
"""A masked language model without a teacher."""


@dataclass(frozen=True)
class Taught:
    """What a teacher says at the masked positions.

    Attributes:
        top: its most probable tokens at `temperature`.
        hidden: its last hidden states.
        temperature: T.
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
    """The loss at each masked position; see the module.

    Args:
        logits: the student's.
        hidden: the student's last hidden states.
        original_ids: the tokens that stood there.
        taught: the teacher's; None where there is none, and only `hard_weight` counts.
        weights: of the three losses.
    """
    loss = weights.hard_weight * functional.cross_entropy(logits.float(), original_ids, reduction="none")
    if taught is None:
        return loss
    soft = top_token_kl(logits, taught.top, taught.temperature)
    cosine = 1 - functional.cosine_similarity(hidden.float(), taught.hidden.detach().float(), dim=-1)
    return loss + weights.soft_weight * soft + weights.cosine_weight * cosine
