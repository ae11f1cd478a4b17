"""The interface of a task, and the measures that it names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """A measure of the quality of answers; `pipestill.metrics.measures` computes it.

    Attributes:
        name: key in params.yaml, in records and in MLflow.
        title: heading in tables and words in messages.
        unit: unit of its values.
        higher_is_better: whether a higher value is a better one.
        hub_type: type of the metric on model hubs; empty for one that they do not list.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool
    hub_type: str = ""


class Task(ABC):
    """One kind of question. Every method takes arrays whose first axis is the row.

    Attributes:
        kind: name of the task.
        problem_type: value of that field in a transformers config, by which clients convert logits.
        hub_task: name of the task on model hubs.
        headline: measures to compare models by, the primary one first; `report.metric` is one of them.
        by_epoch: measures on dev after each epoch of a training, one of which chooses the epoch.
        measures: all measures of a split.
        tie_breaker: measure that decides between epochs which are equal by another one.
    """

    kind: str
    problem_type: str
    hub_task: str
    headline: tuple[Measure, ...]
    by_epoch: tuple[Measure, ...]
    measures: tuple[Measure, ...]
    tie_breaker: Measure

    @property
    def primary(self) -> Measure:
        """Measure that tables show first; retention is its share of the teacher's."""
        return self.headline[0]

    def measure(self, name: str) -> Measure:
        """Return a measure by its name.

        Raises:
            KeyError: the task has no measure of this name.
        """
        return {measure.name: measure for measure in self.measures}[name]

    @abstractmethod
    def probabilities(self, logits: Numbers) -> npt.NDArray[np.float64]:
        """Convert logits `[batch, label]` to probabilities `[batch, label]`."""

    @abstractmethod
    def decide(self, logits: Numbers) -> npt.NDArray[np.int64]:
        """Return the answer to each row, `[batch]`."""

    @abstractmethod
    def are_right(self, decisions: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return whether each answer is the target, `[batch]`; their share is the primary measure."""

    @abstractmethod
    def choose_selection(self, label_counts: Counts) -> tuple[Measure, str]:
        """Choose the measure that selects the epoch, from the train rows of each label `[label]`; and the reason."""

    @abstractmethod
    def standard_error(self, scores: Mapping[str, float], num_rows: int) -> float:
        """Estimate the standard error of the primary measure over `num_rows` rows, from the scores by name."""
