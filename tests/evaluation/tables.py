"""Small labelled tables for the tests of evaluation and reporting."""

import numpy as np

from pipestill.data.schema import LABELLED
from pipestill.data.tables import TableWriter
from pipestill.fingerprint import content_id


def write_rows(path, num_rows, num_labels, seed=0):
    """Write a labelled table with texts of 3 to 200 characters; returns the path."""
    generator = np.random.default_rng(seed)
    texts = [f"{row}-{seed} " + "x" * int(generator.integers(0, 190)) for row in range(num_rows)]
    rows = [
        {"content_id": content_id(text), "text": text, "label_id": int(generator.integers(0, num_labels))}
        for text in texts
    ]
    with TableWriter(path, LABELLED) as writer:
        writer.write(sorted(rows, key=lambda row: row["content_id"]))
    return path
