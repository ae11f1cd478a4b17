"""The arrays that metrics take, and their validation."""

import numpy as np
from jaxtyping import Float, Int

from pipestill.errors import DataError

Logits = Float[np.ndarray, "batch label"]
"""Scores before the softmax, one row per text, one column per label_id."""
LabelIds = Int[np.ndarray, " batch"]
"""The hard label of each row, in [0, num_labels)."""


def check_logits(logits: Logits, label_ids: LabelIds | None = None) -> None:
    """Refuse arrays that would give a meaningless number.

    Raises:
        DataError: there are no rows, a logit is not finite, or the label_ids do not fit the logits.
    """
    if logits.ndim != 2 or logits.shape[0] == 0 or logits.shape[1] == 0:  # noqa: PLR2004 (rows and labels)
        raise DataError("no rows to score", found=f"logits of shape {logits.shape}", expected="at least one row")
    if not np.isfinite(logits).all():
        raise DataError("logits are not finite", found="NaN or infinity", expected="finite numbers in every row")
    if label_ids is None:
        return
    if label_ids.shape != logits.shape[:1]:
        raise DataError("label_ids do not fit the logits", found=label_ids.shape, expected=logits.shape[:1])
    if label_ids.min() < 0 or label_ids.max() >= logits.shape[1]:
        raise DataError(
            "a label_id is outside the logits",
            found=f"{label_ids.min()} to {label_ids.max()}",
            expected=f"0 to {logits.shape[1] - 1}",
        )
