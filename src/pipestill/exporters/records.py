"""What an export says about itself. No time, path or CPU is in it: those are in the stage's run record."""

from pathlib import Path

from pipestill.exporters.parity import ParityRecord
from pipestill.exporters.quantised_share import QuantisedShare
from pipestill.fingerprint import sha256_file
from pipestill.records import Record


class FileRecord(Record):
    """One file of the folder, by its path in it."""

    path: str
    size_bytes: int
    sha256: str


class Int8Gate(Record):
    """The int8 file on the dev rows, beside the fp32 file.

    Attributes:
        num_rows: dev rows scored.
        fp32_accuracy: of the fp32 file.
        accuracy: of the int8 file, each row by itself.
        padded_accuracy: of the int8 file in padded batches of `batch_size`.
        other_range_accuracy: of the int8 form that `reduce_range` would give were it the other way round.
        batch_size: rows of a padded batch.
        num_lost: rows that the fp32 file has right and the int8 file wrong, in the form (alone or padded) that has the
            lower accuracy.
        num_gained: rows that it is the other way round for.
        accuracy_drop_fraction: (num_lost - num_gained) / num_rows.
        p_value: of the one-sided sign test of num_lost against num_gained: how probable so many lost rows or more are
            where a row that changes is lost or gained by chance.
        agreement_fraction: rows whose argmax is that of the fp32 file, each row by itself.
        batch_agreement_fraction: rows whose argmax is the same by itself and in a padded batch.
    """

    num_rows: int
    fp32_accuracy: float
    accuracy: float
    padded_accuracy: float
    other_range_accuracy: float
    batch_size: int
    num_lost: int
    num_gained: int
    accuracy_drop_fraction: float
    p_value: float
    agreement_fraction: float
    batch_agreement_fraction: float


class CardFacts(Record):
    """What the card says beside the export record.

    Attributes:
        data_name: name of the data set.
        data_origin: where it comes from.
        data_licence: its licence, in words.
        num_rows: rows by split.
        base_notice: where the teacher's base weights come from and their licence, as fetched.
        max_length: tokens at which texts are truncated.
        cut_fraction: share of the dev texts that are longer.
        labels: by label_id.
        recipe: settings the model was trained with, as params.yaml has them.
    """

    data_name: str
    data_origin: str
    data_licence: str
    num_rows: dict[str, int]
    base_notice: str
    max_length: int
    cut_fraction: float
    labels: tuple[str, ...]
    recipe: dict[str, object]


class ExportRecord(Record):
    """One exported model.

    Attributes:
        model: `teacher` or the name of a student.
        source_sha256: of the model.safetensors it was made from.
        opset: of both files.
        inputs: what both files take, each int64 [batch, token].
        fused_operators: nodes of each fused operator; empty where nothing was recognised.
        first_token_only: whether the last layer is computed for the first token only.
        equalised_inputs: inputs of int8 products whose outlying channels are made smaller.
        fp32: the fp32 file.
        int8: the int8 file.
        int8_size_fraction: size of the int8 file as a fraction of the fp32 file's.
        parity: PyTorch against the fp32 file.
        quantised_share: of the weight bytes of the int8 file.
        int8_gate: the int8 file on dev.
        facts: what the model card says beside these figures.
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
    facts: CardFacts


def describe_file(folder: Path, path: str) -> FileRecord:
    """Size and SHA-256 of a file in a folder."""
    file = folder / path
    return FileRecord(path=path, size_bytes=file.stat().st_size, sha256=sha256_file(file))


def headline(record: ExportRecord) -> dict[str, float]:
    """The figures of an export that are compared between runs."""
    return {
        "parity_max_abs_difference": record.parity.max_abs_difference,
        "quantised_fraction": record.quantised_share.quantised_fraction,
        "total_quantised_fraction": record.quantised_share.total_quantised_fraction,
        "equalised_inputs": record.equalised_inputs,
        "fp32_size_bytes": record.fp32.size_bytes,
        "int8_size_bytes": record.int8.size_bytes,
        "int8_dev_accuracy": record.int8_gate.accuracy,
        "int8_dev_accuracy_drop_fraction": record.int8_gate.accuracy_drop_fraction,
        "int8_dev_rows_lost": record.int8_gate.num_lost,
        "int8_dev_rows_gained": record.int8_gate.num_gained,
        "int8_dev_agreement_fraction": record.int8_gate.agreement_fraction,
    }
