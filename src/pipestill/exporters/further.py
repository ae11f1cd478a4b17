"""Further files of a model: made of its fp32 graph, written, measured as written, and held to limits of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnx import ModelProto

from pipestill.errors import GateError
from pipestill.exporters._base import FurtherExporter
from pipestill.exporters._graph import write_graph
from pipestill.exporters.gate import SHOWN_STEP, decisions_of
from pipestill.exporters.parity import Logits, measure_parity
from pipestill.exporters.records import FileRecord, FurtherFile, describe_file
from pipestill.exporters.session import compute_logits, open_session
from pipestill.limits import rounded_past
from pipestill.tasks import Task


class Reference(NamedTuple):
    """The model that further files are held against.

    Attributes:
        task: task that the logits answer.
        logits: function that computes a batch's logits by the PyTorch model.
        rows: token ids of the dev rows.
        label_ids: labels of the dev rows, int64 [row].
        num_parity_rows: number of dev rows on which parity is measured.
        max_length: largest number of tokens of a row.
        pad_id: token id that fills shorter rows.
    """

    task: Task
    logits: Logits
    rows: Sequence[Sequence[int]]
    label_ids: np.ndarray
    num_parity_rows: int
    max_length: int
    pad_id: int


def export_further(
    exporter: FurtherExporter, graph: ModelProto, fp32: FileRecord, target: Path, reference: Reference
) -> FurtherFile:
    """Write one more file of a model and measure it.

    Labels need not agree with PyTorch on every row, as those of the fp32 file must: they differ only where the two best
    logits are nearer to each other than twice the tolerance.

    Args:
        exporter: settings and limits of its format.
        graph: optimised fp32 graph.
        fp32: description of the fp32 file.
        target: folder to write it to.
        reference: model and rows to compare with.

    Raises:
        ExportError: logits differ from those of PyTorch by more than the tolerance.
        GateError: the file is too large.
    """
    variant = exporter.variant
    write_graph(exporter.convert(graph), target / variant.file)
    session = open_session(target / variant.file)
    parity = measure_parity(
        reference.task,
        reference.logits,
        lambda batch: compute_logits(session, batch),
        reference.rows[: reference.num_parity_rows],
        max_length=reference.max_length,
        pad_id=reference.pad_id,
        tolerance=exporter.tolerance,
        file=variant.file,
        same_labels=False,
        next_step=f"raise `tolerance` of `{exporter.kind}` under `export.more` if the difference is small beside the "
        "logits, or remove the entry",
    )
    found = decisions_of(reference.task, session, reference.rows, reference.pad_id, 1, variant.dtype)
    file = describe_file(target, variant.file)
    record = FurtherFile(
        file=file,
        size_fraction=file.size_bytes / fp32.size_bytes,
        parity=parity,
        quality=float(reference.task.are_right(found, reference.label_ids).mean()),
    )
    _enforce_size(exporter, record.size_fraction)
    return record


def _enforce_size(exporter: FurtherExporter, size_fraction: float) -> None:
    limit = exporter.max_size_fraction
    if size_fraction > limit:
        raise GateError(
            f"{exporter.variant.file} misses a limit of params.yaml",
            found=f"{rounded_past(size_fraction, limit, SHOWN_STEP)} of the fp32 file's size",
            expected=f"at most {limit}, by `max_size_fraction` of `{exporter.kind}` under `export.more`",
            next_step="state a wider limit, or remove the entry",
        )
