"""The subjects of a benchmark, one variant of a model each: a PyTorch folder, or a file of an artifact folder."""

from collections.abc import Sequence
from pathlib import Path

from pipestill.fingerprint import sha256_file
from pipestill.records import Record
from pipestill.variants import TORCH, Variant, exported_variants

TEACHER = "teacher"


class Subject(Record):
    """One variant of one model.

    Attributes:
        model: name of the model, `teacher` or a student's.
        variant: name of the variant, such as `torch` or `onnx_int8`.
        folder: folder of the model.
        file: file of weights in the folder.
    """

    model: str
    variant: str
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


def subject_of(model: str, variant: Variant, folder: Path) -> Subject:
    """Describe one variant of a model that lies in a folder."""
    return Subject(model=model, variant=variant.name, folder=str(folder), file=variant.file)


def list_subjects(teacher: Path, onnx: Path, students: Sequence[str]) -> tuple[Subject, ...]:
    """List the PyTorch teacher, then every exported file of the teacher and of each student.

    Args:
        teacher: folder of the PyTorch teacher.
        onnx: folder of the artifact folders.
        students: names of the students.
    """
    return subject_of(TEACHER, TORCH, teacher), *(
        subject_of(name, variant, onnx / name)
        for name in (TEACHER, *students)
        for variant in exported_variants(onnx / name)
    )
