"""The export formats.

To add one: a module beside this, a line and a place in the union below, and an entry of `export.more` in params.yaml.
"""

from typing import Annotated

from pydantic import Field

from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.onnx_fp16 import OnnxFp16
from pipestill.exporters.onnx_fp32 import OnnxFp32

ExportFormat = Annotated[OnnxFp32 | Int8Dynamic | OnnxFp16, Field(discriminator="kind")]
"""Every export format, told apart by `kind`."""
