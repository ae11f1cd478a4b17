"""The export formats."""

from typing import Annotated

from pydantic import Field

from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.onnx_fp32 import OnnxFp32

ExportFormat = Annotated[OnnxFp32 | Int8Dynamic, Field(discriminator="kind")]
"""Every export format, told apart by `kind`."""
