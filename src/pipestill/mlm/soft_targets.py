"""Soft targets over a vocabulary, cut down to the teacher's k most probable tokens.

A vocabulary has tens of thousands of tokens, so a cache holds the log-probabilities of the first k at the temperature
in use; all other tokens are merged into one outcome with the remaining mass. The loss compares those k + 1 outcomes,

    loss = T^2 * ( sum over the k tokens of p * (log p - log q) + p_rest * (log p_rest - log q_rest) )

with q the student's probabilities at T and q_rest that of all its other tokens. Nothing is renormalised, so a student
that puts its mass outside of the k tokens pays for it. Merging outcomes never raises a divergence: the loss is at most
T^2 * KL(teacher || student) over the whole vocabulary, equal to it at k = all but one, and 0 for an equal student.
Shapes: `[position, token]` and `[position, k]` to `[position]`. Unit: nats times T^2.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


class TopTokens(NamedTuple):
    """A teacher's most probable tokens at each position, most probable first.

    Attributes:
        ids: token ids, int64 [position, k].
        log_probabilities: log-probabilities at the temperature in use, float32 [position, k].
    """

    ids: Int[Tensor, "position k"]
    log_probabilities: Float[Tensor, "position k"]

    @property
    def mass(self) -> Float[Tensor, " position"]:
        """Total probability of the k tokens, 0 to 1."""
        return self.log_probabilities.exp().sum(dim=-1)


def top_tokens(logits: Float[Tensor, "position token"], k: int, temperature: float) -> TopTokens:
    """Cut a teacher's distribution down to its k most probable tokens.

    Args:
        logits: logits of the teacher over the whole vocabulary.
        k: tokens to keep; fewer than the vocabulary has.
        temperature: T of the softmax; the kept mass falls as it rises.
    """
    log_probabilities = functional.log_softmax(logits.detach().float() / temperature, dim=-1)
    kept = log_probabilities.topk(k, dim=-1)
    return TopTokens(ids=kept.indices, log_probabilities=kept.values)


def top_token_kl(
    student_logits: Float[Tensor, "position token"], teacher: TopTokens, temperature: float
) -> Float[Tensor, " position"]:
    """Compute T^2 * KL(teacher || student) over the teacher's k tokens and the rest as one outcome; see the module."""
    student = student_logits.float() / temperature
    student_log = functional.log_softmax(student, dim=-1)
    # The rest is summed by itself: 1 minus the sum of the k would lose all its digits where they have all the mass.
    others = student_log.scatter(-1, teacher.ids, -torch.inf)
    rest_log = others.logsumexp(dim=-1)
    target = teacher.log_probabilities.detach()
    kept = (target.exp() * (target - student_log.gather(-1, teacher.ids))).sum(dim=-1)
    rest = (1 - teacher.mass.detach()).clamp(min=0)
    # xlogy is 0 where the teacher left no mass, whatever the student predicts.
    left = torch.xlogy(rest, rest) - torch.where(rest > 0, rest * rest_log, torch.zeros_like(rest))
    return temperature**2 * (kept + left)
