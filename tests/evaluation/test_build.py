from pathlib import Path

import numpy as np
import pytest
from labelled_tables import write_rows

from pipestill.data.tables import read_columns
from pipestill.errors import RecordError
from pipestill.evaluation.build import build_evaluation, headline
from pipestill.evaluation.params import EvaluateParams
from pipestill.evaluation.predictions import write_predictions
from pipestill.evaluation.scored import ScoredVariant
from pipestill.fingerprint import sha256_file
from pipestill.metrics.quality import accuracy
from pipestill.metrics.records import EvaluateRecord
from pipestill.records import read_record, write_json
from pipestill.tasks.targets import LabelSet

NO_YES = LabelSet(labels=("no", "yes"))


def draw(splits: dict[str, Path], num_labels: int, seed: int) -> ScoredVariant:
    logits = {}
    for split, path in splits.items():
        rows = read_columns(path)
        noise = np.random.default_rng([seed, len(split)]).normal(size=(len(rows.texts), num_labels))
        logits[split] = (noise + 2 * np.eye(num_labels)[rows.label_ids]).astype(np.float32)
    return ScoredVariant({"model.bin": "0" * 64}, 100, 4, logits, None)


def make_splits(folder: Path, num_labels: int, num_rows: int = 40) -> dict[str, Path]:
    names = ("dev", "test")
    return {name: write_rows(folder / f"{name}.parquet", num_rows, num_labels, seed=len(name)) for name in names}


@pytest.mark.parametrize("num_labels", [2, 20, 300])
def test_a_student_is_measured_against_the_teacher_row_by_row(
    tmp_path: Path, params: EvaluateParams, num_labels: int
) -> None:
    splits, labels = (
        make_splits(tmp_path, num_labels),
        LabelSet(labels=tuple(f"l{number:03d}" for number in range(num_labels))),
    )
    teacher_scores, student_scores = draw(splits, num_labels, 1), draw(splits, num_labels, 2)
    teacher = build_evaluation("teacher", {"torch": teacher_scores}, splits, labels, params, None)
    write_predictions(tmp_path / "teacher.parquet", teacher.predictions)
    student = build_evaluation(
        "s", {"torch": student_scores}, splits, labels, params, tmp_path / "teacher.parquet"
    ).record
    assert teacher.record.variants["torch"].test.against_teacher is None
    test = student.variants["torch"].test
    assert test.against_teacher is not None
    label_ids = read_columns(splits["test"]).label_ids
    own, other = (accuracy(scores.logits["test"], label_ids) for scores in (student_scores, teacher_scores))
    assert test.primary.value == pytest.approx(own)
    assert test.against_teacher.difference.value == pytest.approx(own - other)
    assert test.against_teacher.retention is not None
    assert test.against_teacher.retention.value == pytest.approx(own / other)
    assert sum(part.num_rows for part in test.by_length) == 40
    assert sum(map(sum, test.confusion)) == 40
    assert student.teacher_predictions_sha256 == sha256_file(tmp_path / "teacher.parquet")
    assert student.test.sha256 == sha256_file(splits["test"])


def test_the_teachers_onnx_files_are_measured_against_its_pytorch_logits(
    tmp_path: Path, params: EvaluateParams
) -> None:
    splits = make_splits(tmp_path, 2)
    torch_scores = draw(splits, 2, 1)
    scored = {"torch": torch_scores, "onnx_fp32": torch_scores}
    record = build_evaluation("teacher", scored, splits, NO_YES, params, None).record
    against = record.variants["onnx_fp32"].test.against_teacher
    assert against is not None
    assert against.agreement.value == 1
    assert against.retention is not None
    assert (against.retention.lower, against.retention.upper) == (1, 1)
    assert headline(record)["onnx_fp32.test.agreement"] == 1
    assert "torch.test.agreement" not in headline(record)


def test_the_order_of_the_teachers_rows_does_not_matter(tmp_path: Path, params: EvaluateParams) -> None:
    splits = make_splits(tmp_path, 2)
    teacher = build_evaluation("teacher", {"torch": draw(splits, 2, 1)}, splits, NO_YES, params, None)
    reversed_rows = {
        name: type(part)(
            part.content_ids[::-1],
            part.label_ids[::-1],
            {variant: logits[::-1] for variant, logits in part.logits.items()},
        )
        for name, part in teacher.predictions.items()
    }
    write_predictions(tmp_path / "straight.parquet", teacher.predictions)
    write_predictions(tmp_path / "reversed.parquet", reversed_rows)
    student = {"torch": draw(splits, 2, 2)}
    first, second = (
        build_evaluation("s", student, splits, NO_YES, params, tmp_path / name).record
        for name in ("straight.parquet", "reversed.parquet")
    )
    assert first.variants == second.variants


def test_a_teacher_scored_on_other_rows_is_refused(tmp_path: Path, params: EvaluateParams) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    splits = make_splits(old, 2)
    teacher = build_evaluation("teacher", {"torch": draw(splits, 2, 1)}, splits, NO_YES, params, None)
    write_predictions(tmp_path / "teacher.parquet", teacher.predictions)
    grown = make_splits(new, 2, num_rows=41)
    with pytest.raises(RecordError, match="other rows"):
        build_evaluation("s", {"torch": draw(grown, 2, 2)}, grown, NO_YES, params, tmp_path / "teacher.parquet")


def test_one_test_row_is_enough(tmp_path: Path, params: EvaluateParams) -> None:
    splits = make_splits(tmp_path, 2, num_rows=1)
    record = build_evaluation("teacher", {"torch": draw(splits, 2, 1)}, splits, NO_YES, params, None).record
    estimate = record.variants["torch"].test.primary
    assert estimate.lower == estimate.value == estimate.upper


def test_the_record_and_logits_are_the_same_bytes_when_made_twice(tmp_path: Path, params: EvaluateParams) -> None:
    splits = make_splits(tmp_path, 3)
    for name in ("first", "second"):
        made = build_evaluation(
            "teacher", {"torch": draw(splits, 3, 1)}, splits, LabelSet(labels=("a", "b", "c")), params, None
        )
        write_json(tmp_path / f"{name}.json", made.record)
        write_predictions(tmp_path / f"{name}.parquet", made.predictions)
    assert sha256_file(tmp_path / "first.json") == sha256_file(tmp_path / "second.json")
    assert sha256_file(tmp_path / "first.parquet") == sha256_file(tmp_path / "second.parquet")
    assert read_record(tmp_path / "first.json", EvaluateRecord).model == "teacher"
