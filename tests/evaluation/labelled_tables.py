"""Small labelled tables and settings for the tests of evaluation."""

from pathlib import Path
from typing import Any

import numpy as np

from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter
from pipestill.fingerprint import content_id

SETTINGS: dict[str, Any] = {
    "bootstrap": {"replicates": 200, "seed": 13, "confidence": 0.95},
    "num_ece_bins": 15,
    "slices": {"kind": "quantiles", "quantiles": [0.25, 0.5, 0.75]},
    "batch_size": 4,
}


def write_rows(path: Path, num_rows: int, num_labels: int, seed: int = 0) -> Path:
    """Write a labelled table with texts of 4 to 200 characters; returns the path."""
    generator = np.random.default_rng(seed)
    texts = [f"{row}-{seed} " + "x" * int(generator.integers(0, 190)) for row in range(num_rows)]
    rows = [
        {"content_id": content_id(text), "text": text, "label_id": int(generator.integers(0, num_labels))}
        for text in texts
    ]
    with TableWriter(path, LABELLED) as writer:
        writer.write(sorted(rows, key=lambda row: row["content_id"]))
    return path
