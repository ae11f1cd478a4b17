"""The record of an evaluation: every number with its interval, the scored files, the rows and the machine."""

from typing import Literal

from pipestill.environment import Environment
from pipestill.metrics.agreement import LogitDifference
from pipestill.metrics.calibration import ReliabilityBin
from pipestill.metrics.slices import SliceQuality
from pipestill.metrics.uncertainty import Estimate
from pipestill.records import Record
from pipestill.tasks import Task


def units(task: Task) -> dict[str, str]:
    """Return the unit of each number in a `SplitQuality`."""
    return {measure.name: measure.unit for measure in task.measures} | {
        "agreement": "fraction",
        "difference": task.primary.unit,
        "retention": f"ratio to the PyTorch teacher's {task.primary.title} on the same rows",
    }


class Resampling(Record):
    """The settings of the intervals."""

    kind: Literal["paired_bootstrap_percentile"] = "paired_bootstrap_percentile"
    confidence: float
    replicates: int
    seed: int


class RowsSource(Record):
    """The rows that were scored."""

    path: str
    sha256: str
    num_rows: int


class AgainstTeacher(Record):
    """Measured against the teacher's PyTorch logits on the same rows.

    `difference` is student minus teacher and `retention` student / teacher, both of the task's primary measure;
    `retention` is None where the teacher is wrong on all rows of a replicate.
    """

    agreement: Estimate
    difference: Estimate
    retention: Estimate | None


class SplitQuality(Record):
    """Quality on one split: the task's measures by name, and by which of them models are compared first.

    `confusion[i][j]` counts rows of label_id i predicted as label_id j.
    """

    primary_measure: str
    measures: dict[str, Estimate]
    against_teacher: AgainstTeacher | None
    by_length: tuple[SliceQuality, ...]
    reliability: tuple[ReliabilityBin, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def primary(self) -> Estimate:
        """The primary measure."""
        return self.measures[self.primary_measure]


class BatchSensitivity(Record):
    """The effect of batching on int8 logits: test logits in batches compared with the logits of single rows.

    An fp32 file gives the same logits up to rounding. int8_dynamic sets its activation scale from the whole batch,
    padding included, so that its logits change with the other rows (`sorted_by_length`) and more with padding
    (`in_row_order`). `num_rows` test rows are compared; qualities are the task's primary measure.
    """

    num_rows: int
    batch_size: int
    quality_alone: float
    quality_sorted_by_length: float
    quality_in_row_order: float
    sorted_by_length: LogitDifference
    in_row_order: LogitDifference


class VariantRecord(Record):
    """One variant of a model: the scored files and their quality.

    `files` holds the sha256 of each scored file; `batch_size` is the one used for the quality figures.
    """

    files: dict[str, str]
    size_bytes: int
    batch_size: int
    dev: SplitQuality
    test: SplitQuality
    batching: BatchSensitivity | None


class EvaluateRecord(Record):
    """The evaluation of one model: teacher, student or baseline."""

    model: str
    task: str
    labels: tuple[str, ...]
    units: dict[str, str]
    resampling: Resampling
    dev: RowsSource
    test: RowsSource
    teacher_predictions_sha256: str | None
    variants: dict[str, VariantRecord]
    environment: Environment
