"""The variants of a model: the forms in which it is stored, scored, timed, shown and packaged.

Every record, table and figure takes a variant's name, title and file from here. An export format names its `dtype`
only; the rest follows, in the layout that transformers.js and optimum expect:

    dtype   name        title       file
    fp32    onnx_fp32   ONNX fp32   onnx/model.onnx
    int8    onnx_int8   ONNX int8   onnx/model_quantized.onnx
    fp16    onnx_fp16   ONNX fp16   onnx/model_fp16.onnx          and so on for any other
"""

from dataclasses import dataclass
from pathlib import Path

from pipestill.errors import RecordError

_FILES = {"fp32": "onnx/model.onnx", "int8": "onnx/model_quantized.onnx"}
"""Files that are not called after their dtype."""
_FLOATS = ("fp", "bf")
"""First letters of the dtypes of floats."""
_ONNX = "onnx_"


@dataclass(frozen=True)
class Variant:
    """One form of a model.

    Attributes:
        name: name in records, in params.yaml, and after the model's in `<model>/<variant>`.
        title: name in tables and figures.
        file: file of weights in the model's folder; empty for the linear baseline, which keeps none.
        computes_in_floats: whether a row's logits are the same, up to rounding, in any batch.
        marker: shape of its points in figures, as matplotlib names it.
    """

    name: str
    title: str
    file: str
    computes_in_floats: bool
    marker: str

    @property
    def dtype(self) -> str:
        """The type of its numbers, such as `int8`; of an ONNX variant only."""
        return self.name.removeprefix(_ONNX)


def onnx_variant(dtype: str) -> Variant:
    """Return the variant of an exported file by the type of its numbers, such as `fp16`."""
    return Variant(
        name=f"{_ONNX}{dtype}",
        title=f"ONNX {dtype}",
        file=_FILES.get(dtype, f"onnx/model_{dtype}.onnx"),
        computes_in_floats=dtype.startswith(_FLOATS),
        marker="o" if dtype in _FILES else "D",
    )


LINEAR = Variant("linear", "TF-IDF", "", computes_in_floats=True, marker="")
"""The one variant of the linear baseline."""
TORCH = Variant("torch", "PyTorch", "model.safetensors", computes_in_floats=True, marker="s")
"""The model as it was trained; the teacher's is what all others are compared with."""
FP32 = onnx_variant("fp32")
"""The first exported file, from which the others are made."""
INT8 = onnx_variant("int8")
"""The exported file that runs unless another is named."""


def variant_named(name: str) -> Variant:
    """Return the variant with a name.

    Raises:
        RecordError: no variant can have this name.
    """
    for variant in (LINEAR, TORCH):
        if name == variant.name:
            return variant
    if is_onnx(name):
        return onnx_variant(name.removeprefix(_ONNX))
    raise RecordError(
        f"unknown variant: {name}",
        expected=f"{LINEAR.name}, {TORCH.name}, {FP32.name}, {INT8.name} or {_ONNX} with another dtype",
        next_step="run `dvc repro` to write the records again",
    )


def is_onnx(name: str) -> bool:
    """Return whether a name is that of an exported file's variant."""
    return name.startswith(_ONNX) and name != _ONNX


def exported_variants(folder: Path) -> tuple[Variant, ...]:
    """List the variants in an artifact folder, the int8 one last.

    The fp32 and the int8 file belong to every artifact, so they are listed even where they are missing: whoever opens
    them then gets an error.
    """
    stem = Path(FP32.file).stem + "_"
    files = sorted((folder / FP32.file).parent.glob(f"{stem}*.onnx"))
    found = [onnx_variant(file.stem.removeprefix(stem)) for file in files if file.name != Path(INT8.file).name]
    return FP32, *found, INT8
