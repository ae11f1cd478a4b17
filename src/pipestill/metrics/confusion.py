"""The confusion matrix: counts of hard label by predicted label."""

import numpy as np
from jaxtyping import Int

from pipestill.metrics.arrays import LabelIds, Logits, check_logits
from pipestill.tasks import CLASSES


def confusion_matrix(logits: Logits, label_ids: LabelIds) -> Int[np.ndarray, "label label"]:
    """Count rows by hard label (first axis) and predicted label (second axis).

    Raises:
        DataError: no rows, or arrays that do not fit.
    """
    check_logits(logits, label_ids)
    num_labels = logits.shape[1]
    cells = label_ids.astype(np.int64) * num_labels + CLASSES.decide(logits)
    return np.bincount(cells, minlength=num_labels**2).reshape(num_labels, num_labels)
