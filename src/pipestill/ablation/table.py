"""Building the table's record from the cells, their logits and the timings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipestill.ablation.grid import ordered_cells, timed_cells
from pipestill.ablation.params import Cell, Recipe
from pipestill.ablation.records import AblationRecord, AblationRow, CellRecord, CellTimes, TeacherRow
from pipestill.ablation.statistics import Right, compare, mean_agreement, share_right, spread
from pipestill.benchmark.records import BenchmarkRecord, SubjectRecord
from pipestill.data.tables import Rows
from pipestill.environment import Environment
from pipestill.evaluation.params import BootstrapParams
from pipestill.evaluation.predictions import join_logits, read_predictions
from pipestill.fingerprint import sha256_file
from pipestill.metrics.measures import score
from pipestill.metrics.records import Resampling
from pipestill.metrics.uncertainty import Estimate
from pipestill.tasks import TASKS
from pipestill.variants import INT8, LINEAR, TORCH


@dataclass(frozen=True)
class MeasuredCell:
    """All measurements of one cell: its figures, its times, and each seed's logits on test, `[row, label]`."""

    record: CellRecord
    times: CellTimes
    logits: list[npt.NDArray[np.float32]]


def read_logits(predictions: Path, test: Rows, variants: Sequence[str]) -> list[npt.NDArray[np.float32]]:
    """Read some variants' logits on the test rows, in the rows' order.

    Raises:
        RecordError: the predictions are missing, or of other rows or variants.
    """
    held = read_predictions(predictions, "test")
    return [join_logits(held, variant, tuple(test.content_ids)) for variant in variants]


def build_table(
    measured: Mapping[str, MeasuredCell],
    students: Mapping[str, str],
    recipes: Mapping[str, Recipe],
    cells: Mapping[str, Cell],
    teacher: Path,
    baseline: Path,
    rows: Mapping[str, tuple[Path, Rows]],
    benchmark: BenchmarkRecord,
    bootstrap: BootstrapParams,
) -> AblationRecord:
    """Build the table from all measurements.

    Args:
        measured: measurements of each cell.
        students: titles of the students by name, in the order of the table.
        recipes: recipes by name, from the simplest to the fullest.
        cells: cells by name.
        teacher: predictions of the teacher.
        baseline: predictions of the linear baseline.
        rows: rows of dev and test, each with its file.
        benchmark: record of the latencies.
        bootstrap: settings of the intervals.

    Raises:
        RecordError: predictions are missing, or of other rows or variants.
    """
    test_file, test = rows["test"]
    task = TASKS[next(iter(measured.values())).record.task]
    (teacher_logits,) = read_logits(teacher, test, [TORCH.name])
    (baseline_logits,) = read_logits(baseline, test, [LINEAR.name])
    right = {name: share_right(task, one.logits, test.label_ids) for name, one in measured.items()}
    teacher_right = share_right(task, [teacher_logits], test.label_ids)
    timed = timed_cells(cells, list(students), list(recipes))
    speeds = {(subject.model, subject.variant): subject for subject in benchmark.subjects}
    found: list[AblationRow] = []
    for name in ordered_cells(cells, list(students), list(recipes)):
        before = found[-1].recipe if found and found[-1].student == cells[name].student else None
        right_before = right[f"{cells[name].student}-{before}"] if before else None
        latency_of = timed[cells[name].student]
        found.append(
            _row(
                measured[name],
                right[name],
                (students[cells[name].student], recipes[cells[name].recipe].title),
                teacher_right,
                mean_agreement(task, measured[name].logits, teacher_logits),
                before,
                right_before,
                latency_of,
                speeds[latency_of, INT8.name],
                bootstrap,
            )
        )
    torch, int8 = (speeds["teacher", variant.name] for variant in (TORCH, INT8))
    return AblationRecord(
        task=task.kind,
        seeds=tuple(seed.seed for seed in next(iter(measured.values())).record.seeds),
        resampling=Resampling(**bootstrap.model_dump()),
        num_dev_rows=len(rows["dev"][1].content_ids),
        num_test_rows=len(test.content_ids),
        test_sha256=sha256_file(test_file),
        teacher_predictions_sha256=sha256_file(teacher),
        teacher=TeacherRow(
            test_quality=float(np.mean(teacher_right)),
            torch_p50_ms=torch.model_ms.p50,
            int8_p50_ms=int8.model_ms.p50,
            int8_size_bytes=int8.size_bytes,
        ),
        baseline_test_quality=score(task.primary, baseline_logits, test.label_ids),
        rows=tuple(found),
        systems=best_of_each(found),
        training_environments=_different([one.times.environment for one in measured.values()]),
        latency_environment=benchmark.environment,
    )


def best_of_each(rows: Sequence[AblationRow]) -> tuple[str, ...]:
    """Choose each student's cell with the best mean quality on dev, the first of equal ones; test is not used."""
    best: dict[str, AblationRow] = {}
    for row in rows:
        if row.student not in best or row.dev_quality.mean > best[row.student].dev_quality.mean:
            best[row.student] = row
    return tuple(f"{row.student}-{row.recipe}" for row in best.values())


def headline(record: AblationRecord) -> dict[str, float]:
    """Return the figures to compare between runs."""
    primary = TASKS[record.task].primary.name
    return {
        f"{row.student}-{row.recipe}/{name}": value
        for row in record.rows
        for name, value in (
            (f"dev_{primary}", row.dev_quality.mean),
            (f"test_{primary}", row.test_quality.mean),
            ("difference_to_teacher", row.difference_to_teacher.value),
        )
    }


def _row(
    cell: MeasuredCell,
    right: Right,
    titles: tuple[str, str],
    teacher: Right,
    agreement: float,
    before: str | None,
    right_before: npt.NDArray[np.float64] | None,
    latency_of: str,
    speed: SubjectRecord,
    bootstrap: BootstrapParams,
) -> AblationRow:
    record = cell.record
    primary = TASKS[record.task].primary.name
    to_teacher, retention = compare(right, teacher, bootstrap)
    to_before: Estimate | None = None if right_before is None else compare(right, right_before, bootstrap)[0]
    return AblationRow(
        student=record.student,
        student_title=titles[0],
        recipe=record.recipe,
        recipe_title=titles[1],
        dev_quality=spread([seed.dev[primary] for seed in record.seeds]),
        test_quality=spread([seed.test[primary] for seed in record.seeds]),
        retention=retention,
        difference_to_teacher=to_teacher,
        agreement=agreement,
        before=before,
        difference_to_before=to_before,
        train_wall_time_s=spread(cell.times.train_wall_time_s),
        num_parameters=record.num_parameters,
        fp32_size_bytes=record.fp32.size_bytes,
        int8_size_bytes=record.int8.size_bytes,
        int8_test_quality=record.int8_test_quality,
        model_p50_ms=speed.model_ms.p50,
        latency_of=latency_of,
    )


def _different(environments: Sequence[Environment]) -> tuple[Environment, ...]:
    found: list[Environment] = []
    for environment in environments:
        if environment not in found:
            found.append(environment)
    return tuple(found)
