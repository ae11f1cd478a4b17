"""The record of an export, without times, paths and CPU: those are in the stage's run record."""

import operator
from pathlib import Path

from pydantic import Field

from pipestill.exporters.parity import ParityRecord
from pipestill.exporters.quantised_share import QuantisedShare
from pipestill.fingerprint import sha256_file
from pipestill.records import Record
from pipestill.tasks import TASKS, Task
from pipestill.variants import FP32, INT8, variant_named


class FileRecord(Record):
    """One file of the folder, by its path in it."""

    path: str
    size_bytes: int
    sha256: str


class Int8Gate(Record):
    """The int8 file on the dev rows, beside the fp32 file; qualities are the task's primary measure.

    Attributes:
        num_rows: dev rows scored.
        fp32_quality: quality of the fp32 file.
        quality: quality of the int8 file, row by row.
        padded_quality: quality of the int8 file in padded batches of `batch_size`.
        other_range_quality: quality of the int8 file with the other value of `reduce_range`.
        batch_size: rows of a padded batch.
        num_lost: rows that the fp32 file has right and the int8 file wrong, row by row or padded, whichever has the
            lower quality.
        num_gained: rows that the fp32 file has wrong and the int8 file right, counted likewise.
        quality_drop_fraction: (num_lost - num_gained) / num_rows.
        p_value: p of the one-sided sign test: the probability of at least num_lost lost rows if lost and gained are
            equally likely.
        agreement_fraction: share of rows with the fp32 file's answer, row by row.
        batch_agreement_fraction: share of rows with the same answer row by row and in a padded batch.
    """

    num_rows: int
    fp32_quality: float
    quality: float
    padded_quality: float
    other_range_quality: float
    batch_size: int
    num_lost: int
    num_gained: int
    quality_drop_fraction: float
    p_value: float
    agreement_fraction: float
    batch_agreement_fraction: float


class FurtherFile(Record):
    """A file that `export.more` asks for.

    Attributes:
        file: description of the file.
        size_fraction: its size as a fraction of the fp32 file's.
        parity: comparison of PyTorch with this file.
        quality: its quality on dev, row by row.
    """

    file: FileRecord
    size_fraction: float
    parity: ParityRecord
    quality: float


class CardContent(Record):
    """The content of the model card beside the export record.

    Attributes:
        data_name: name of the data set.
        data_origin: origin of the data set.
        data_licence: licence of the data set, in words.
        num_rows: rows by split.
        base_notice: origin and licence of the teacher's base weights, as fetched.
        max_length: tokens at which texts are truncated.
        cut_fraction: share of the dev texts that are longer.
        task: kind of the task.
        labels: label names by label_id.
        recipe: settings the model was trained with, as in params.yaml.
    """

    data_name: str
    data_origin: str
    data_licence: str
    num_rows: dict[str, int]
    base_notice: str
    max_length: int
    cut_fraction: float
    task: str
    labels: tuple[str, ...]
    recipe: dict[str, object]


class ExportRecord(Record):
    """One exported model.

    Attributes:
        model: name of the model, `teacher` or a student's.
        source_sha256: SHA-256 of the model.safetensors it was made from.
        opset: ONNX opset of all files.
        inputs: names of all files' inputs, each int64 [batch, token].
        fused_operators: nodes of each fused operator; empty where nothing was recognised.
        first_token_only: whether the last layer is computed for the first token only.
        equalised_inputs: inputs of int8 products whose outlying channels are made smaller.
        fp32: description of the fp32 file.
        int8: description of the int8 file.
        int8_size_fraction: size of the int8 file as a fraction of the fp32 file's.
        parity: comparison of PyTorch with the fp32 file.
        quantised_share: quantised share of the int8 file's weight bytes.
        int8_gate: scores of the int8 file on dev.
        more: further files by variant; left out of the JSON where there are none.
        card: content of the model card beside these figures.
    """

    model: str
    source_sha256: str
    opset: int
    inputs: tuple[str, ...]
    fused_operators: dict[str, int]
    first_token_only: bool
    equalised_inputs: int
    fp32: FileRecord
    int8: FileRecord
    int8_size_fraction: float
    parity: ParityRecord
    quantised_share: QuantisedShare
    int8_gate: Int8Gate
    more: dict[str, FurtherFile] = Field(default_factory=dict, exclude_if=operator.not_)
    card: CardContent

    @property
    def task(self) -> Task:
        """Task that the model's labels belong to."""
        return TASKS[self.card.task]

    @property
    def files(self) -> dict[str, FileRecord]:
        """Files of weights by variant: the int8 one, which runs unless another is named, the fp32 one, further ones."""
        further = {variant: more.file for variant, more in self.more.items()}
        return {INT8.name: self.int8, FP32.name: self.fp32, **further}


def describe_file(folder: Path, path: str) -> FileRecord:
    """Return path, size and SHA-256 of a file in a folder."""
    file = folder / path
    return FileRecord(path=path, size_bytes=file.stat().st_size, sha256=sha256_file(file))


def headline(record: ExportRecord) -> dict[str, float]:
    """Return the figures of an export to compare between runs."""
    primary = record.task.primary.name
    numbers: dict[str, float] = {
        "parity_max_abs_difference": record.parity.max_abs_difference,
        "quantised_fraction": record.quantised_share.quantised_fraction,
        "total_quantised_fraction": record.quantised_share.total_quantised_fraction,
        "equalised_inputs": record.equalised_inputs,
        "fp32_size_bytes": record.fp32.size_bytes,
        "int8_size_bytes": record.int8.size_bytes,
        f"int8_dev_{primary}": record.int8_gate.quality,
        f"int8_dev_{primary}_drop_fraction": record.int8_gate.quality_drop_fraction,
        "int8_dev_rows_lost": record.int8_gate.num_lost,
        "int8_dev_rows_gained": record.int8_gate.num_gained,
        "int8_dev_agreement_fraction": record.int8_gate.agreement_fraction,
    }
    for name, more in record.more.items():
        dtype = variant_named(name).dtype
        numbers[f"{dtype}_size_bytes"] = more.file.size_bytes
        numbers[f"{dtype}_dev_{primary}"] = more.quality
        numbers[f"{dtype}_parity_max_abs_difference"] = more.parity.max_abs_difference
    return numbers
