"""The limits on an int8 file: quality on dev, quantised share, size.

On few dev rows a drop beyond the limit may be chance: one row of 30 is already three times a limit of 1%. It fails the
export only if it is also significant: p below `SIGNIFICANCE` in the exact one-sided sign test on the rows whose
correctness changed, lost against gained. 5 lost rows without a gained one suffice, however few the dev rows.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from pipestill.errors import GateError
from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.quantised_share import QuantisedShare
from pipestill.exporters.records import Int8Gate
from pipestill.exporters.session import compute_logits, open_session, pad
from pipestill.limits import rounded_past
from pipestill.progress import shown
from pipestill.tasks import Task
from pipestill.threads import spread

SIGNIFICANCE = 0.05
SHOWN_STEP = "0.0001"
"""Rounding step of figures in messages."""


def score_int8(
    fp32: Path,
    quantised: Path,
    other_range: ModelProto,
    rows: Sequence[Sequence[int]],
    label_ids: np.ndarray,
    task: Task,
    *,
    pad_id: int,
    batch_size: int,
) -> Int8Gate:
    """Score an int8 file on dev rows, one by one and in padded batches, beside the fp32 file.

    Args:
        fp32: fp32 file that it was made from.
        quantised: int8 file to score.
        other_range: int8 graph with the other `reduce_range`.
        rows: token ids of the dev rows.
        label_ids: labels of the dev rows, int64 [row].
        task: task that the logits answer.
        pad_id: token id that fills shorter rows.
        batch_size: rows of a padded batch.

    Returns:
        The figures, without enforcing limits.
    """
    session = open_session(quantised)
    reference = decisions_of(task, open_session(fp32), rows, pad_id, 1, "fp32")
    alone = decisions_of(task, session, rows, pad_id, 1, "int8")
    padded = decisions_of(task, session, rows, pad_id, batch_size, "int8 in batches")
    other = decisions_of(task, open_session(other_range), rows, pad_id, 1, "int8 of the other range")
    right, right_alone, right_padded = (task.are_right(found, label_ids) for found in (reference, alone, padded))
    worse = right_padded if right_padded.sum() < right_alone.sum() else right_alone
    num_lost, num_gained = int((right & ~worse).sum()), int((worse & ~right).sum())
    return Int8Gate(
        num_rows=len(rows),
        fp32_quality=float(right.mean()),
        quality=float(right_alone.mean()),
        padded_quality=float(right_padded.mean()),
        other_range_quality=float(task.are_right(other, label_ids).mean()),
        batch_size=batch_size,
        num_lost=num_lost,
        num_gained=num_gained,
        quality_drop_fraction=(num_lost - num_gained) / len(rows),
        p_value=sign_test(num_lost, num_gained),
        agreement_fraction=float((alone == reference).mean()),
        batch_agreement_fraction=float((alone == padded).mean()),
    )


def sign_test(num_lost: int, num_gained: int) -> float:
    """Compute the exact one-sided sign test: the probability of at least so many lost among the changed rows by chance.

    Returns:
        P(X >= num_lost) for X binomial over num_lost + num_gained rows with 1/2; 1 where no row changed.
    """
    changed = num_lost + num_gained
    # By symmetry that many gained rows or fewer.
    return sum(math.comb(changed, gained) for gained in range(num_gained + 1)) / 2**changed


def enforce_limits(int8: Int8Dynamic, gate: Int8Gate, share: QuantisedShare, size_fraction: float) -> None:
    """Refuse an int8 file that misses a limit of params.yaml.

    Raises:
        GateError: quality drops too much and significantly, too few of the weight bytes are quantised, or the file is
            too large.
    """
    limits: Mapping[str, tuple[float, float, bool]] = {
        "max_quality_drop_fraction": (
            gate.quality_drop_fraction,
            int8.max_quality_drop_fraction,
            gate.quality_drop_fraction <= int8.max_quality_drop_fraction or gate.p_value >= SIGNIFICANCE,
        ),
        "min_quantised_fraction": (
            share.quantised_fraction,
            int8.min_quantised_fraction,
            share.quantised_fraction >= int8.min_quantised_fraction,
        ),
        "max_size_fraction": (size_fraction, int8.max_size_fraction, size_fraction <= int8.max_size_fraction),
    }
    missed = {name: (found, limit) for name, (found, limit, kept) in limits.items() if not kept}
    if missed:
        raise GateError(
            f"the int8 file misses {len(missed)} limit(s) of params.yaml",
            found="; ".join(
                f"export.int8.{name}: {rounded_past(found, limit, SHOWN_STEP)}"
                for name, (found, limit) in missed.items()
            ),
            expected="; ".join(f"export.int8.{name}: {limit}" for name, (_, limit) in missed.items())
            + f"; float weights by operator: {share.float_bytes_by_operator}; of {gate.num_rows} dev rows "
            f"{gate.num_lost} lost, {gate.num_gained} gained",
            next_step="try a lower `min_outlier_ratio` or the other `reduce_range`, or state a wider limit",
        )


def decisions_of(
    task: Task,
    session: Any,  # noqa: ANN401 (onnxruntime has no types)
    rows: Sequence[Sequence[int]],
    pad_id: int,
    batch_size: int,
    name: str,
) -> np.ndarray:
    """Return the answer to each row, int64 [row]; `name` is shown beside the progress."""

    def decide(start: int) -> np.ndarray:
        batch = pad(rows[start : start + batch_size], pad_id=pad_id)
        return task.decide(compute_logits(session, batch))

    starts = range(0, len(rows), batch_size)
    return np.concatenate([*shown(spread(decide, starts), f"gate, {name}", "batches", total=len(starts))])
