"""What is timed: a PyTorch folder, or one ONNX file of an artifact folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pipestill.benchmark.timing import Runnable
from pipestill.fingerprint import sha256_file
from pipestill.records import Record

Variant = Literal["torch", "onnx_fp32", "onnx_int8"]
ONNX_FILES: dict[Variant, str] = {"onnx_fp32": "onnx/model.onnx", "onnx_int8": "onnx/model_quantized.onnx"}
TORCH_FILE = "model.safetensors"


class Subject(Record):
    """One form of one model.

    Attributes:
        model: `teacher` or the name of a student.
        variant: `torch`, `onnx_fp32` or `onnx_int8`.
        folder: where it lies.
        file: the file of weights that is timed, in the folder.
    """

    model: str
    variant: Variant
    folder: str
    file: str

    @property
    def path(self) -> Path:
        """The file of weights."""
        return Path(self.folder) / self.file

    @property
    def sha256(self) -> str:
        """SHA-256 of the file of weights."""
        return sha256_file(self.path)


def list_subjects(teacher: Path, onnx: Path, students: Sequence[str]) -> tuple[Subject, ...]:
    """The teacher in its three forms, then each student's two ONNX files.

    Args:
        teacher: the teacher's PyTorch folder.
        onnx: the folder of artifact folders.
        students: names of the students.
    """
    torch = Subject(model="teacher", variant="torch", folder=str(teacher), file=TORCH_FILE)
    return torch, *(
        Subject(model=name, variant=variant, folder=str(onnx / name), file=file)
        for name in ("teacher", *students)
        for variant, file in ONNX_FILES.items()
    )


def open_subject(subject: Subject, threads: int) -> Runnable:
    """Load a subject on a number of threads; imports what that subject needs and nothing else."""
    if subject.variant == "torch":
        return TorchSubject(Path(subject.folder), threads)
    from pipestill.predict import Classifier

    return Classifier(Path(subject.folder), file=subject.file, threads=threads)


class TorchSubject:
    """A PyTorch classifier, run as its own library runs it: no gradients, fp32."""

    def __init__(self, folder: Path, threads: int) -> None:
        from pipestill.teacher import forward, load_classifier, use_threads

        use_threads(threads)
        self._classifier = load_classifier(folder)
        self._forward = forward

    def encode(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 (transformers has no types)
        """Tokenise texts into one batch, padded to its longest text."""
        return self._classifier.tokenizer(list(texts), truncation=True, padding=True, return_tensors="pt")

    def run(self, batch: Any) -> object:  # noqa: ANN401
        """Compute the logits of one encoded batch."""
        return self._forward(self._classifier, batch)
