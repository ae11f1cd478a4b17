"""What a training reads and what it yields."""

from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from pipestill.data.schema import LabelSet
from pipestill.data.tables import Rows
from pipestill.teacher import Classifier
from pipestill.training.records import TrainingRecord


@dataclass(frozen=True)
class Trained:
    """What a training yields.

    Attributes:
        classifier: with the weights of its best epoch.
        record: its curves.
        train_seconds: wall time of the training.
        teacher_seconds: part of it spent on the teacher's logits.
    """

    classifier: Classifier
    record: TrainingRecord
    train_seconds: float
    teacher_seconds: float


@dataclass(frozen=True)
class Material:
    """What a training reads and where it may write.

    Attributes:
        labels: the label names.
        table: rows to train on: content_id, text, label_id.
        dev: the dev split, which chooses the epoch.
        scratch: a folder of its own for each content of params, rows and code.
    """

    labels: LabelSet
    table: Dataset
    dev: Rows
    scratch: Path
