"""The limits an int8 file has to keep: accuracy on dev, quantised share, size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto

from pipestill.errors import GateError
from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.quantised_share import QuantisedShare
from pipestill.exporters.records import Int8Gate
from pipestill.exporters.session import compute_logits, open_session, pad


def score_int8(
    fp32: ModelProto,
    int8: Int8Dynamic,
    quantised: ModelProto,
    rows: Sequence[Sequence[int]],
    label_ids: np.ndarray,
    *,
    pad_id: int,
    batch_size: int,
) -> Int8Gate:
    """Score an int8 graph on dev rows, alone and in padded batches, beside the fp32 graph.

    Args:
        fp32: the graph it was made from.
        int8: the settings it was made with.
        quantised: the int8 graph.
        rows: token ids of the dev rows.
        label_ids: their labels, int64 [row].
        pad_id: the id that fills shorter rows.
        batch_size: rows of a padded batch.

    Returns:
        The figures; nothing is enforced here.
    """
    session = open_session(quantised)
    reference = _argmax(open_session(fp32), rows, pad_id, 1)
    alone = _argmax(session, rows, pad_id, 1)
    padded = _argmax(session, rows, pad_id, batch_size)
    other = int8.model_copy(update={"reduce_range": not int8.reduce_range}).convert(fp32)
    fp32_accuracy, accuracy, padded_accuracy = (
        float((found == label_ids).mean()) for found in (reference, alone, padded)
    )
    return Int8Gate(
        num_rows=len(rows),
        fp32_accuracy=fp32_accuracy,
        accuracy=accuracy,
        padded_accuracy=padded_accuracy,
        other_range_accuracy=float((_argmax(open_session(other), rows, pad_id, 1) == label_ids).mean()),
        batch_size=batch_size,
        accuracy_drop_fraction=fp32_accuracy - min(accuracy, padded_accuracy),
        agreement_fraction=float((alone == reference).mean()),
        batch_agreement_fraction=float((alone == padded).mean()),
    )


def enforce_limits(int8: Int8Dynamic, gate: Int8Gate, share: QuantisedShare, size_fraction: float) -> None:
    """Refuse an int8 file that misses a limit of params.yaml.

    Raises:
        GateError: it lost too much accuracy, too few of its weight bytes are quantised, or it is too large.
    """
    limits: Mapping[str, tuple[float, float, bool]] = {
        "max_accuracy_drop_fraction": (
            gate.accuracy_drop_fraction,
            int8.max_accuracy_drop_fraction,
            gate.accuracy_drop_fraction <= int8.max_accuracy_drop_fraction,
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
            found="; ".join(f"export.int8.{name}: {found:.4f}" for name, (found, _) in missed.items()),
            expected="; ".join(f"export.int8.{name}: {limit}" for name, (_, limit) in missed.items())
            + f"; float weights by operator: {share.float_bytes_by_operator}",
            next_step="try the other `reduce_range` or `per_channel`, or state a wider limit",
        )


def _argmax(session: Any, rows: Sequence[Sequence[int]], pad_id: int, batch_size: int) -> np.ndarray:  # noqa: ANN401
    found = [
        compute_logits(session, pad(rows[start : start + batch_size], pad_id=pad_id)).argmax(axis=1)
        for start in range(0, len(rows), batch_size)
    ]
    return np.concatenate(found)
