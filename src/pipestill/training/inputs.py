"""The inputs of a training and its result."""

from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from pipestill.data.tables import Rows
from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier
from pipestill.training.records import TrainingRecord


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        classifier: model with the weights of its best epoch.
        record: curves of the training.
        train_seconds: wall time of the training.
        teacher_seconds: part of that time spent on the teacher's logits.
    """

    classifier: TorchClassifier
    record: TrainingRecord
    train_seconds: float
    teacher_seconds: float


@dataclass(frozen=True)
class TrainingInputs:
    """The inputs of a training, and its scratch folder.

    Attributes:
        labels: label names of the data.
        table: rows to train on: content_id, text, label_id.
        dev: dev split, which chooses the epoch.
        scratch: folder that is distinct for each content of params, rows and code.
    """

    labels: LabelSet
    table: Dataset
    dev: Rows
    scratch: Path
