"""The records of the ablation: each cell, and the table. Wall times lie apart, so that the rest is reproducible."""

from pipestill.diagnostics import Diagnostic
from pipestill.environment import Environment
from pipestill.exporters.records import FileRecord
from pipestill.metrics.records import Resampling
from pipestill.metrics.uncertainty import Estimate
from pipestill.records import Record


class SeedRecord(Record):
    """One training of a cell.

    Attributes:
        seed: random seed of the training.
        num_rows: rows that it was trained on.
        num_epochs: passes over the rows.
        best_epoch: epoch whose weights were kept, by dev.
        dev: the task's headline measures of the PyTorch model on dev, by name.
        test: the task's headline measures of the PyTorch model on test, by name.
    """

    seed: int
    num_rows: int
    num_epochs: int
    best_epoch: int
    dev: dict[str, float]
    test: dict[str, float]


class CellRecord(Record):
    """One student with one recipe.

    Attributes:
        task: kind of the task.
        student: name of the student in params.
        recipe: name of the recipe in params.
        seeds: one record per training, in the order of params.
        num_parameters: parameters of the student.
        diagnostics: diagnostics of its architecture, with the first seed.
        exported_seed: seed whose model was exported.
        fp32: fp32 file on which parity was measured; not kept.
        int8: int8 file of the exported model.
        parity_max_abs_difference: largest logit difference between PyTorch and the fp32 file.
        quantised_fraction: share of eligible weight bytes that is quantised.
        int8_dev_quality: primary measure of the int8 file on dev, row by row.
        int8_test_quality: primary measure of the int8 file on test, row by row.
    """

    task: str
    student: str
    recipe: str
    seeds: tuple[SeedRecord, ...]
    num_parameters: int
    diagnostics: tuple[Diagnostic, ...]
    exported_seed: int
    fp32: FileRecord
    int8: FileRecord
    parity_max_abs_difference: float
    quantised_fraction: float
    int8_dev_quality: float
    int8_test_quality: float


class CellTimes(Record):
    """Wall times of a cell's trainings, without the loading of data and models.

    Attributes:
        train_wall_time_s: seconds of each seed, in the order of params; for a resumed training those since it resumed.
        environment: machine of the measurement.
    """

    train_wall_time_s: tuple[float, ...]
    environment: Environment


class Spread(Record):
    """Mean and sample standard deviation (None with one seed) of a figure over seeds, in the unit of the figure."""

    mean: float
    deviation: float | None
    lowest: float
    highest: float


class AblationRow(Record):
    """One row of the table; quality is the task's primary measure, of the PyTorch model unless noted.

    Attributes:
        student: name of the student in params.
        student_title: name shown in the table.
        recipe: name of the recipe in params.
        recipe_title: name shown in the table.
        dev_quality: quality on dev over seeds, by which systems are chosen.
        test_quality: quality on test over seeds, which is not used for choices.
        retention: quality on test, mean over seeds / the PyTorch teacher's, with its interval.
        difference_to_teacher: quality on test, mean over seeds minus the teacher's.
        agreement: share of test rows with the teacher's label, mean over seeds.
        before: recipe of the same student's previous row; None for the first.
        difference_to_before: quality on test minus the previous row's, both means over seeds.
        train_wall_time_s: wall time of one training, over seeds.
        num_parameters: parameters of the student.
        fp32_size_bytes: size of the fp32 ONNX file.
        int8_size_bytes: size of the int8 ONNX file.
        int8_test_quality: quality on test of the first seed's int8 file.
        model_p50_ms: median latency of the student's int8 file, one thread, batch 1, tokenisation left out.
        latency_of: cell whose int8 file was timed, since a recipe changes weights but not the computation.
    """

    student: str
    student_title: str
    recipe: str
    recipe_title: str
    dev_quality: Spread
    test_quality: Spread
    retention: Estimate | None
    difference_to_teacher: Estimate
    agreement: float
    before: str | None
    difference_to_before: Estimate | None
    train_wall_time_s: Spread
    num_parameters: int
    fp32_size_bytes: int
    int8_size_bytes: int
    int8_test_quality: float
    model_p50_ms: float
    latency_of: str


class TeacherRow(Record):
    """The teacher as reference: quality on test and median latencies of its model part."""

    test_quality: float
    torch_p50_ms: float
    int8_p50_ms: float
    int8_size_bytes: int


UNITS = {
    "dev_quality": "fraction",
    "test_quality": "fraction",
    "retention": "ratio to the PyTorch teacher's quality on the same rows",
    "difference_to_teacher": "fraction",
    "difference_to_before": "fraction",
    "agreement": "fraction of rows with the PyTorch teacher's label",
    "train_wall_time_s": "seconds",
    "int8_size_bytes": "bytes",
    "int8_test_quality": "fraction",
    "model_p50_ms": "milliseconds",
}
POOLING = (
    "Intervals: over test rows, paired. Of each row the share of seeds that have it right is taken first, so that rows "
    "are drawn and seeds are not: the interval is about other rows, the spread about other seeds."
)


class AblationRecord(Record):
    """The table, with the data and machines behind it.

    Attributes:
        task: kind of the task.
        rows: rows by student and recipe, in the order of params.
        systems: for each student, the cell of the recipe with the best mean quality on dev.
        seeds: random seeds of every cell.
        num_dev_rows: rows used for choices.
        num_test_rows: rows used for reported figures.
        test_sha256: SHA-256 of the table of test rows.
        teacher_predictions_sha256: SHA-256 of the teacher's logits.
        baseline_test_quality: quality of TF-IDF and logistic regression on test, as a floor for the systems.
        pooling: explanation of the role of seeds in the intervals.
    """

    task: str
    units: dict[str, str] = UNITS
    pooling: str = POOLING
    seeds: tuple[int, ...]
    resampling: Resampling
    num_dev_rows: int
    num_test_rows: int
    test_sha256: str
    teacher_predictions_sha256: str
    teacher: TeacherRow
    baseline_test_quality: float
    rows: tuple[AblationRow, ...]
    systems: tuple[str, ...]
    training_environments: tuple[Environment, ...]
    latency_environment: Environment
