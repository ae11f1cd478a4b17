"""The columns of each table of rows."""

import pyarrow as pa

from pipestill.tasks.targets import TARGET

LABELLED = pa.schema([("content_id", pa.string()), ("text", pa.string()), TARGET])
"""Columns of train, dev and test; sorted by content_id, which is unique."""
UNLABELLED_ROWS = pa.schema([("content_id", pa.string()), ("text", pa.string())])
"""Columns of texts without a label; sorted by content_id, which is unique."""
TRANSFER_ROWS = pa.schema(
    [
        ("content_id", pa.string()),
        ("text", pa.string()),
        TARGET,
        ("origin", pa.string()),
        ("parent_ids", pa.list_(pa.string())),
    ]
)
"""Columns of the transfer set; label_id is -1 for rows without a label, origin is `train`, `unlabelled` or an
augmentation's kind."""
