"""What the ablation says: of each cell, and in its table. Wall times lie apart, so that the rest is the same bytes."""

from pipestill.environment import Environment
from pipestill.exporters.records import FileRecord
from pipestill.facts import Fact
from pipestill.metrics.records import Resampling
from pipestill.metrics.uncertainty import Estimate
from pipestill.records import Record


class SeedRecord(Record):
    """One training of a cell.

    Attributes:
        seed: of what is random in it.
        num_rows: rows that it was trained on.
        num_epochs: passes over them.
        best_epoch: the epoch whose weights were kept, by dev.
        dev_accuracy: of the PyTorch model, a fraction.
        test_accuracy: the same.
        dev_macro_f1: a fraction.
        test_macro_f1: a fraction.
    """

    seed: int
    num_rows: int
    num_epochs: int
    best_epoch: int
    dev_accuracy: float
    test_accuracy: float
    dev_macro_f1: float
    test_macro_f1: float


class CellRecord(Record):
    """One student with one recipe.

    Attributes:
        student: its key in params.
        recipe: the same.
        seeds: each training, in the order of params.
        num_parameters: of the student.
        facts: what its architecture says of it, with the first seed.
        exported_seed: the seed whose model was exported.
        fp32: its fp32 file, which parity was measured on; not kept.
        int8: its int8 file.
        parity_max_abs_difference: PyTorch against fp32, logits.
        quantised_fraction: of eligible weight bytes.
        int8_dev_accuracy: of the int8 file, each row by itself, a fraction.
        int8_test_accuracy: the same.
    """

    student: str
    recipe: str
    seeds: tuple[SeedRecord, ...]
    num_parameters: int
    facts: tuple[Fact, ...]
    exported_seed: int
    fp32: FileRecord
    int8: FileRecord
    parity_max_abs_difference: float
    quantised_fraction: float
    int8_dev_accuracy: float
    int8_test_accuracy: float


class CellTimes(Record):
    """How long the trainings of a cell took, each by itself, data and models loaded already.

    Attributes:
        train_wall_time_s: seconds of each seed, in the order of params; of a training that was killed and resumed,
            those since it resumed.
        environment: the machine.
    """

    train_wall_time_s: tuple[float, ...]
    environment: Environment


class Spread(Record):
    """A figure over seeds: their mean and sample standard deviation (None with one seed), in the unit of the figure."""

    mean: float
    deviation: float | None
    lowest: float
    highest: float


class AblationRow(Record):
    """One row of the table; quality is a fraction on the rows of the split, of the PyTorch model where not said.

    Attributes:
        student: its key.
        student_title: what people read.
        recipe: its key.
        recipe_title: what people read.
        dev_accuracy: over seeds; the one that chooses.
        test_accuracy: over seeds; chooses nothing.
        retention: test accuracy, mean over seeds / the PyTorch teacher's, with its interval.
        difference_to_teacher: test accuracy, mean over seeds less the teacher's.
        agreement: share of test rows with the teacher's label, mean over seeds.
        before: the recipe of the row before it of the same student; None for the first.
        difference_to_before: test accuracy less that row's, both means over seeds.
        train_wall_time_s: of one training, over seeds.
        num_parameters: of the student.
        fp32_size_bytes: of the fp32 ONNX file.
        int8_size_bytes: of the int8 ONNX file.
        int8_test_accuracy: of the int8 file of the first seed.
        model_p50_ms: median latency of the student's int8 file, one thread, batch 1, tokenisation left out.
        latency_of: the cell whose int8 file was timed: a recipe changes weights and not what is computed.
    """

    student: str
    student_title: str
    recipe: str
    recipe_title: str
    dev_accuracy: Spread
    test_accuracy: Spread
    retention: Estimate | None
    difference_to_teacher: Estimate
    agreement: float
    before: str | None
    difference_to_before: Estimate | None
    train_wall_time_s: Spread
    num_parameters: int
    fp32_size_bytes: int
    int8_size_bytes: int
    int8_test_accuracy: float
    model_p50_ms: float
    latency_of: str


class TeacherRow(Record):
    """What students are held against: the teacher's test accuracy (fraction) and median latencies of its model part."""

    test_accuracy: float
    torch_p50_ms: float
    int8_p50_ms: float
    int8_size_bytes: int


UNITS = {
    "dev_accuracy": "fraction",
    "test_accuracy": "fraction",
    "retention": "ratio to the PyTorch teacher's accuracy on the same rows",
    "difference_to_teacher": "fraction",
    "difference_to_before": "fraction",
    "agreement": "fraction of rows with the PyTorch teacher's label",
    "train_wall_time_s": "seconds",
    "int8_size_bytes": "bytes",
    "int8_test_accuracy": "fraction",
    "model_p50_ms": "milliseconds",
}
POOLING = (
    "Intervals: over test rows, paired. Of each row the share of seeds that have it right is taken first, so that rows "
    "are drawn and seeds are not: the interval is about other rows, the spread about other seeds."
)


class AblationRecord(Record):
    """The table, with all that it rests on.

    Attributes:
        rows: by student and recipe, in the order of params.
        systems: of each student the cell with the best mean accuracy on dev.
        seeds: of every cell.
        num_dev_rows: rows that choose.
        num_test_rows: rows that are reported.
        test_sha256: of the table of test rows.
        teacher_predictions_sha256: of the teacher's logits.
        baseline_test_accuracy: of TF-IDF and logistic regression, a fraction: who lies below it has to say why.
        pooling: how seeds enter the intervals.
    """

    units: dict[str, str] = UNITS
    pooling: str = POOLING
    seeds: tuple[int, ...]
    resampling: Resampling
    num_dev_rows: int
    num_test_rows: int
    test_sha256: str
    teacher_predictions_sha256: str
    teacher: TeacherRow
    baseline_test_accuracy: float
    rows: tuple[AblationRow, ...]
    systems: tuple[str, ...]
    training_environments: tuple[Environment, ...]
    latency_environment: Environment
