"""One label of several for each text: softmax, the most probable label, accuracy.

Targets are label_ids `[batch]`, from 0 to the number of labels less one.
"""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipestill.tasks._base import Counts, Measure, Numbers, Task

Ranking = Literal["accuracy", "macro_f1"]
"""Names of the measures that compare models."""
Metric = Literal["accuracy", "macro_f1", "nll_nats"]
"""Names of the measures that choose an epoch."""

ACCURACY = Measure("accuracy", "accuracy", "fraction", higher_is_better=True, hub_type="accuracy")
MACRO_F1 = Measure("macro_f1", "macro F1", "fraction", higher_is_better=True, hub_type="f1")
NLL = Measure("nll_nats", "NLL", "nats", higher_is_better=False)
ECE = Measure("ece", "ECE", "fraction", higher_is_better=False)

SKEW_RATIO = 10.0
"""Least ratio of the most frequent label's rows to the median label's, from which labels count as skewed."""


class Classes(Task):
    """Single-label classification."""

    kind = "classes"
    problem_type = "single_label_classification"
    hub_task = "text-classification"
    headline = (ACCURACY, MACRO_F1)
    by_epoch = (ACCURACY, MACRO_F1, NLL)
    measures = (ACCURACY, MACRO_F1, NLL, ECE)
    tie_breaker = NLL

    def probabilities(self, logits: Numbers) -> npt.NDArray[np.float64]:
        """Compute the softmax over the labels of each row, in float64 so that large logits do not overflow."""
        shifted = logits.astype(np.float64)
        exponentials = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        result: npt.NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return result

    def decide(self, logits: Numbers) -> npt.NDArray[np.int64]:
        """Return the label_id of the greatest logit in each row, `[batch]`; the lowest such label_id on a tie."""
        decisions: npt.NDArray[np.int64] = logits.argmax(axis=1)
        return decisions

    def are_right(self, decisions: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return whether each decision is the hard label, `[batch]`."""
        right: npt.NDArray[np.bool_] = decisions == targets
        return right

    def choose_selection(self, label_counts: Counts) -> tuple[Measure, str]:
        """Choose macro F1 where labels are skewed, by the train rows of each label `[label]`, else accuracy."""
        counts = label_counts[label_counts > 0]
        ratio = counts.max() / np.median(counts) if len(counts) else 1.0
        reason = f"the most frequent label has {ratio:.1f} times the median's rows"
        return (MACRO_F1 if ratio >= SKEW_RATIO else ACCURACY), reason

    def standard_error(self, scores: Mapping[str, float], num_rows: int) -> float:
        """Compute the standard error of an accuracy over `num_rows` rows, as of a share."""
        share = scores[ACCURACY.name]
        return math.sqrt(share * (1 - share) / num_rows)


CLASSES = Classes()
