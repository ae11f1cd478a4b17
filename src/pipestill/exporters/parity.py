"""Parity: the exported file must give the PyTorch model's logits on real rows, or the export fails."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipestill.errors import ExportError
from pipestill.exporters.session import pad
from pipestill.records import Record
from pipestill.tasks import Task

Batch = Mapping[str, np.ndarray]
Logits = Callable[[Batch], np.ndarray]
BATCH_SIZES = (1, 3, 32)
NEXT_STEP = "try `export.fp32.fuse: false`; if parity holds then, a fusion does not fit this model"


class ParityCase(Record):
    """Parity of one shape of batch: largest logit difference, and share of rows with equal answers."""

    length: str
    batch_size: int
    num_tokens: int
    max_abs_difference: float
    agreement_fraction: float


class ParityRecord(Record):
    """Parity over all shapes of batch; `agreement_fraction` is the share of their rows with equal answers."""

    tolerance: float
    num_rows: int
    max_abs_difference: float
    agreement_fraction: float
    cases: tuple[ParityCase, ...]


def parity_batches(rows: Sequence[Sequence[int]], *, max_length: int, pad_id: int) -> dict[tuple[str, int], Batch]:
    """Build batches of all lengths and sizes to check from real rows.

    Args:
        rows: token ids of real rows, special tokens included; at least one row.
        max_length: largest number of tokens of a row.
        pad_id: token id that fills shorter rows.

    Returns:
        A batch by (length, batch size): rows cut to 1 and to 2 tokens, uncut rows padded to the longest, and rows
        concatenated up to the maximum.
    """
    stream = [token for row in rows for token in row]
    batches: dict[tuple[str, int], Batch] = {}
    for size in BATCH_SIZES:
        picked = [rows[index % len(rows)] for index in range(size)]
        full = [[stream[(index * 7 + token) % len(stream)] for token in range(max_length)] for index in range(size)]
        batches["1", size] = pad([row[:1] for row in picked], pad_id=pad_id)
        batches["2", size] = pad([row[:2] for row in picked], pad_id=pad_id)
        batches["as it is", size] = pad(picked, pad_id=pad_id)
        batches["max", size] = pad(full, pad_id=pad_id)
    return batches


def measure_parity(
    task: Task,
    expected: Logits,
    found: Logits,
    rows: Sequence[Sequence[int]],
    *,
    max_length: int,
    pad_id: int,
    tolerance: float,
    file: str = "the exported file",
    same_labels: bool = True,
    next_step: str = NEXT_STEP,
) -> ParityRecord:
    """Compare two classifiers on real rows.

    Args:
        task: task that the logits answer.
        expected: function that computes a batch's logits by the PyTorch model.
        found: function that computes a batch's logits by the exported file.
        rows: token ids of real rows.
        max_length: largest number of tokens of a row.
        pad_id: token id that fills shorter rows.
        tolerance: largest allowed absolute difference of logits.
        file: name of the exported file in errors.
        same_labels: whether every answer must be equal too.
        next_step: advice in the error.

    Returns:
        The differences, within the tolerance.

    Raises:
        ExportError: logits differ by more than the tolerance or are not finite, or an answer differs that must not.
    """
    batches = parity_batches(rows, max_length=max_length, pad_id=pad_id)
    # Every real row also counts once: an answer that changes is rare, so a few batches would not show it.
    size = BATCH_SIZES[-1]
    for start in range(0, len(rows), size):
        batches[f"rows {start}", size] = pad(rows[start : start + size], pad_id=pad_id)
    cases = [_compare(task, name, expected(batch), found(batch), batch, file) for name, batch in batches.items()]
    shapes = tuple(case for case in cases if not case.length.startswith("rows "))
    record = ParityRecord(
        tolerance=tolerance,
        num_rows=len(rows),
        max_abs_difference=max(case.max_abs_difference for case in cases),
        agreement_fraction=_agreement(cases),
        cases=shapes,
    )
    worst = max(cases, key=lambda case: (same_labels and 1 - case.agreement_fraction, case.max_abs_difference))
    if record.max_abs_difference > tolerance or (same_labels and record.agreement_fraction < 1):
        labels = " and every answer equal" if same_labels else ""
        raise ExportError(
            f"the logits of {file} differ from those of the PyTorch model",
            found=f"logits {record.max_abs_difference:.2e} apart, answers equal on {record.agreement_fraction:.2%}; "
            f"worst at length `{worst.length}`, batch {worst.batch_size}",
            expected=f"at most {tolerance:.2e} apart{labels}",
            next_step=next_step,
        )
    return record


def _agreement(cases: Sequence[ParityCase]) -> float:
    """Compute the share of rows with equal answers; exactly 1 where all are equal."""
    num_rows = sum(case.batch_size for case in cases)
    return 1 - sum(round((1 - case.agreement_fraction) * case.batch_size) for case in cases) / num_rows


def _compare(
    task: Task, name: tuple[str, int], expected: np.ndarray, found: np.ndarray, batch: Batch, file: str
) -> ParityCase:
    if expected.shape != found.shape or not np.isfinite(found).all():
        raise ExportError(
            f"{file} gives no usable logits at length `{name[0]}`, batch {name[1]}",
            found=f"shape {found.shape}, finite: {bool(np.isfinite(found).all())}",
            expected=f"finite logits of shape {expected.shape}",
        )
    return ParityCase(
        length=name[0],
        batch_size=len(batch["input_ids"]),
        num_tokens=batch["input_ids"].shape[1],
        # Rounded, so that the record keeps its bytes when summation order changes the last digit.
        max_abs_difference=float(f"{np.abs(expected - found).max():.1e}"),
        agreement_fraction=float((task.decide(expected) == task.decide(found)).mean()),
    )
