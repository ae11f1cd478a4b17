"""The scores of a classifier on the dev split."""

import numpy as np
from jaxtyping import Float, Int

from pipestill.metrics.quality import accuracy, macro_f1, nll_nats


def dev_scores(logits: Float[np.ndarray, "row label"], label_ids: Int[np.ndarray, " row"]) -> dict[str, float]:
    """Score logits of the dev rows: dev_accuracy and dev_macro_f1 (fractions), dev_nll_nats."""
    return {
        "dev_accuracy": accuracy(logits, label_ids),
        "dev_macro_f1": macro_f1(logits, label_ids),
        "dev_nll_nats": nll_nats(logits, label_ids),
    }
