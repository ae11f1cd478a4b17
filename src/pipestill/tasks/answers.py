"""The answers that `pipestill predict` gives: labels with their probabilities.

Training and export do not import this module, so an edit here reruns neither.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipestill.tasks import Task


class Prediction(NamedTuple):
    """The prediction for one text.

    Attributes:
        label: name of the label with the highest probability.
        score: probability of that label, 0 to 1.
        probabilities: probability by label, most probable first; all of them, or the `top_k` first.
    """

    label: str
    score: float
    probabilities: dict[str, float]


def predictions(
    task: Task, logits: npt.NDArray[np.floating], labels: Sequence[str], top_k: int | None
) -> list[Prediction]:
    """Rank the labels of each row by their probability; equal ones stay in label_id order.

    Args:
        task: task that the logits answer.
        logits: logits of the rows, `[batch, label]`.
        labels: label names by label_id.
        top_k: number of labels to give probabilities of; all where None.
    """
    return [_ranked(row, labels, top_k) for row in task.probabilities(logits)]


def _ranked(probabilities: npt.NDArray[np.float64], labels: Sequence[str], top_k: int | None) -> Prediction:
    order = np.argsort(-probabilities, kind="stable")[:top_k]
    by_label = {labels[label_id]: float(probabilities[label_id]) for label_id in order}
    label, score = next(iter(by_label.items()))
    return Prediction(label=label, score=score, probabilities=by_label)
