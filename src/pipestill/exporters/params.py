"""The section `export` of params.yaml."""

from pydantic import Field

from pipestill.exporters.equalise import Equalisation
from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.parity import ParityParams
from pipestill.params import Section


class ExportParams(Section):
    """Settings of the export, and the limits on exported files.

    Attributes:
        fp32: settings of the fp32 file.
        equalisation: rule for equalising the inputs of the int8 file's products.
        int8: settings and limits of the int8 file.
        parity: limits on differences between PyTorch and the fp32 file.
        gate_batch_size: rows of a padded batch when the int8 file is scored on dev.
    """

    fp32: OnnxFp32
    equalisation: Equalisation
    int8: Int8Dynamic
    parity: ParityParams
    gate_batch_size: int = Field(ge=2)
