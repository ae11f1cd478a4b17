"""Quality of hard and soft predictions: accuracy, macro_f1 and nll_nats, all from logits `[batch, label]`."""

import numpy as np
from jaxtyping import Float

from pipestill.metrics.arrays import LabelIds, Logits, check_logits
from pipestill.tasks import CLASSES


def log_softmax(logits: Logits) -> Float[np.ndarray, "batch label"]:
    """Compute log-probabilities in nats, in float64 so that large logits do not overflow."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def accuracy(logits: Logits, label_ids: LabelIds) -> float:
    """Compute the share of rows whose predicted label is the hard label, in [0, 1].

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    check_logits(logits, label_ids)
    return float(CLASSES.are_right(CLASSES.decide(logits), label_ids).mean())


def f1_per_label(logits: Logits, label_ids: LabelIds) -> Float[np.ndarray, " label"]:
    """Compute F1 of each label, 2 TP / (2 TP + FP + FN), in [0, 1]; NaN for a label neither present nor predicted.

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    check_logits(logits, label_ids)
    num_labels = logits.shape[1]
    predicted = CLASSES.decide(logits)
    true_positives = np.bincount(label_ids[predicted == label_ids], minlength=num_labels)
    # 2 TP + FP + FN = times predicted + times present
    seen = np.bincount(predicted, minlength=num_labels) + np.bincount(label_ids, minlength=num_labels)
    return np.divide(2.0 * true_positives, seen, out=np.full(num_labels, np.nan), where=seen > 0)


def macro_f1(logits: Logits, label_ids: LabelIds) -> float:
    """Compute the mean F1 over the labels that are present or predicted, in [0, 1].

    A label absent from the rows but predicted counts as F1 = 0; one neither present nor predicted does not count.
    (The same as scikit-learn's `f1_score(average="macro")`.)

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    return float(np.nanmean(f1_per_label(logits, label_ids)))


def row_nll_nats(logits: Logits, label_ids: LabelIds) -> Float[np.ndarray, " batch"]:
    """Compute the negative log-likelihood of each row's hard label in nats, at least 0.

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    check_logits(logits, label_ids)
    result: np.ndarray = -log_softmax(logits)[np.arange(len(label_ids)), label_ids]
    return result


def nll_nats(logits: Logits, label_ids: LabelIds) -> float:
    """Compute the mean negative log-likelihood of the hard labels in nats; ln(num_labels) for constant logits."""
    return float(row_nll_nats(logits, label_ids).mean())
