"""The arithmetic of `classes` on torch tensors, for losses: log-probabilities, hard labels of a teacher."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def log_probabilities(logits: Float[Tensor, "batch label"], temperature: float = 1.0) -> Float[Tensor, "batch label"]:
    """Compute log softmax(logits / T) over the labels, in float32."""
    return functional.log_softmax(logits.float() / temperature, dim=-1)


def probabilities(logits: Float[Tensor, "batch label"], temperature: float = 1.0) -> Float[Tensor, "batch label"]:
    """Compute softmax(logits / T) over the labels, in float32."""
    return functional.softmax(logits.float() / temperature, dim=-1)


def decide(logits: Float[Tensor, "batch label"]) -> Int[Tensor, " batch"]:
    """Return the label_id of the greatest logit in each row."""
    return logits.argmax(dim=-1)
