"""Running an exported graph, for the parity check and the int8 gate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto

PROVIDERS = ["CPUExecutionProvider"]


def open_session(model: Path | ModelProto) -> Any:  # noqa: ANN401 (onnxruntime has no types)
    """Open a file or a graph on one CPU thread, since more threads do not speed up batch 1."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=PROVIDERS)


def compute_logits(session: Any, batch: Mapping[str, np.ndarray]) -> np.ndarray:  # noqa: ANN401
    """Compute the logits of one batch, float32 [batch, label]."""
    names = [value.name for value in session.get_inputs()]
    logits: np.ndarray = session.run(["logits"], {name: batch[name] for name in names})[0]
    return logits


def pad(rows: Sequence[Sequence[int]], *, pad_id: int, length: int | None = None) -> dict[str, np.ndarray]:
    """Stack token ids into one batch.

    Args:
        rows: token ids of each row.
        pad_id: token id that fills shorter rows, on the right.
        length: number of tokens to pad to; None for the longest row's.

    Returns:
        input_ids, attention_mask and token_type_ids, each int64 [batch, token].
    """
    width = max(length or 0, *(len(row) for row in rows))
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
