"""Inference of a classifier over texts."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipestill.precision import Precision, PrecisionChoice, PrecisionSetting, choose_precision
from pipestill.progress import shown
from pipestill.teacher.classifier import TorchClassifier
from pipestill.text.batching import collate, length_sorted_batches
from pipestill.text.tokenizer import encode


def predict_logits(
    classifier: TorchClassifier, texts: Sequence[str], *, batch_size: int, precision: Precision, show: str | None = None
) -> Float[np.ndarray, "batch label"]:
    """Run a classifier forward over texts; see `compute_outputs`.

    Returns:
        Logits, float32 `[batch, label]`, in the order of the texts.
    """
    width = classifier.labels.num_labels
    return compute_outputs(classifier, texts, width, batch_size=batch_size, precision=precision, show=show)


def compute_outputs(
    classifier: TorchClassifier,
    texts: Sequence[str],
    width: int,
    *,
    batch_size: int,
    precision: Precision,
    show: str | None = None,
) -> Float[np.ndarray, "batch output"]:
    """Run a model forward over texts, in batches of similar length, in evaluation mode.

    Args:
        classifier: teacher or student.
        texts: any number of texts.
        width: numbers that the model gives for a text: the labels, or with its last layer taken out the inputs of that.
        batch_size: rows in one forward pass.
        precision: arithmetic of matrix products, see `Precision`.
        show: name of this work in a display of progress; None for none, where the caller shows its own.

    Returns:
        The model's outputs, float32 `[batch, width]`, in the order of the texts.
    """
    rows = encode(classifier.tokenizer, texts)
    outputs = np.empty((len(rows), width), dtype=np.float32)
    was_training = classifier.model.training
    classifier.model.eval()
    device = classifier.model.device
    with torch.inference_mode(), autocast(precision, device):
        batches = length_sorted_batches([len(row) for row in rows], batch_size)
        for batch in batches if show is None else shown(batches, show, "batches"):
            inputs = collate([rows[row] for row in batch], classifier.tokenizer.pad_token_id)
            answer = classifier.model(**{name: tensor.to(device) for name, tensor in inputs.items()})
            outputs[batch] = answer.logits.float().cpu().numpy()
    classifier.model.train(was_training)
    return outputs


def forward(classifier: TorchClassifier, batch: Mapping[str, Tensor]) -> Float[Tensor, "batch label"]:
    """Run one encoded batch in float32 and without gradients."""
    with torch.inference_mode():
        logits: Tensor = classifier.model(**batch).logits
    return logits


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """Compute the largest difference of two tensors, as a fraction of the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


def use_threads(threads: int) -> None:
    """Pin the number of threads that torch computes with, in this process."""
    torch.set_num_threads(threads)


def fastest_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_device_precision(asked: PrecisionSetting) -> PrecisionChoice:
    """Choose the precision for the fastest device; see `choose_precision`."""
    return choose_precision(asked, fastest_device().type)


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context in which matrix products run at a precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
