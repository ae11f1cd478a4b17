"""The subjects of a benchmark: a PyTorch folder, or one ONNX file of an artifact folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipestill.fingerprint import sha256_file
from pipestill.records import Record

Variant = Literal["torch", "onnx_fp32", "onnx_int8"]
ONNX_FILES: dict[Variant, str] = {"onnx_fp32": "onnx/model.onnx", "onnx_int8": "onnx/model_quantized.onnx"}
TORCH_FILE = "model.safetensors"


class Subject(Record):
    """One form of one model.

    Attributes:
        model: name of the model, `teacher` or a student's.
        variant: form of the model: `torch`, `onnx_fp32` or `onnx_int8`.
        folder: folder of the model.
        file: file of weights in the folder.
    """

    model: str
    variant: Variant
    folder: str
    file: str

    @property
    def path(self) -> Path:
        """Path of the file of weights."""
        return Path(self.folder) / self.file

    @property
    def sha256(self) -> str:
        """SHA-256 of the file of weights."""
        return sha256_file(self.path)


def list_subjects(teacher: Path, onnx: Path, students: Sequence[str]) -> tuple[Subject, ...]:
    """List the teacher in its three forms, then each student's two ONNX files.

    Args:
        teacher: folder of the PyTorch teacher.
        onnx: folder of the artifact folders.
        students: names of the students.
    """
    torch = Subject(model="teacher", variant="torch", folder=str(teacher), file=TORCH_FILE)
    return torch, *(
        Subject(model=name, variant=variant, folder=str(onnx / name), file=file)
        for name in ("teacher", *students)
        for variant, file in ONNX_FILES.items()
    )
