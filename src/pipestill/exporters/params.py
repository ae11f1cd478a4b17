"""The section `export` of params.yaml. Nothing here imports torch, onnx or ONNX Runtime (see `_base`)."""

from typing import Annotated

from pydantic import Field, field_validator

from pipestill.exporters import ExportFormat
from pipestill.exporters._base import FurtherExporter
from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.params import FROM_LIST, Section
from pipestill.variants import FP32, INT8


class Equalisation(Section):
    """The rule by which inputs are equalised.

    Attributes:
        num_rows: calibration rows of the train split; 0 turns equalisation off.
        usual_quantile: quantile of the channels' largest values that counts as usual.
        min_outlier_ratio: least ratio of the largest channel to the usual one.
    """

    num_rows: int = Field(ge=0)
    usual_quantile: Annotated[float, Field(gt=0, lt=1)]
    min_outlier_ratio: float = Field(ge=1)


class ParityParams(Section):
    """The tolerance of parity, and the number of real rows to measure it on."""

    tolerance: float = Field(gt=0)
    num_rows: int = Field(ge=1)


class ExportParams(Section):
    """Settings of the export, and the limits on exported files.

    Attributes:
        fp32: settings of the fp32 file.
        equalisation: rule for equalising the inputs of the int8 file's products.
        int8: settings and limits of the int8 file.
        more: settings and limits of further files of each model; none where the key is left out.
        parity: limits on differences between PyTorch and the fp32 file.
        gate_batch_size: rows of a padded batch when the int8 file is scored on dev.
    """

    fp32: OnnxFp32
    equalisation: Equalisation
    int8: Int8Dynamic
    more: Annotated[tuple[ExportFormat, ...], FROM_LIST] = ()
    parity: ParityParams
    gate_batch_size: int = Field(ge=2)

    @field_validator("more")
    @classmethod
    def _further(cls, value: tuple[ExportFormat, ...]) -> tuple[ExportFormat, ...]:
        for exporter in value:
            if not isinstance(exporter, FurtherExporter):
                raise ValueError(f"`{exporter.kind}` is always exported, by its own section; remove the entry")  # noqa: TRY004 (pydantic)
        if len({exporter.variant.name for exporter in value}) < len(value):
            raise ValueError("each kind at most once")
        return value

    @property
    def further(self) -> tuple[FurtherExporter, ...]:
        """The further formats, as `more` has them."""
        return tuple(exporter for exporter in self.more if isinstance(exporter, FurtherExporter))

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants that the export makes of each model."""
        return FP32.name, INT8.name, *(exporter.variant.name for exporter in self.more)
