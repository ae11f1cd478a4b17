"""The `report` section of params.yaml."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipestill.params import Section


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Variants = Annotated[
    tuple[Literal["onnx_fp32", "onnx_int8"], ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=2)
]


class Constraints(Section):
    """What a champion has to meet, all at once.

    `min_retention_lower` is the lower end of the interval of retention on dev; `min_speedup` how many times faster than
    the PyTorch teacher, by the medians; `min_size_ratio` the PyTorch teacher's size over the candidate's.
    """

    min_retention_lower: float = Field(ge=0)
    min_speedup: float = Field(ge=0)
    min_size_ratio: float = Field(ge=0)


class ReportParams(Section):
    """How the champion is chosen: the best `metric` on dev among the `variants` that meet the constraints."""

    metric: Literal["accuracy", "macro_f1"]
    variants: Variants
    constraints: Constraints
