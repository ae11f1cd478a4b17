"""The `report` section of params.yaml."""

from typing import Annotated

from pydantic import Field, field_validator

from pipestill.params import FROM_LIST, Section
from pipestill.tasks import Ranking
from pipestill.variants import FP32, INT8, is_onnx

Variants = Annotated[tuple[str, ...], FROM_LIST, Field(min_length=1)]


class Constraints(Section):
    """The limits that a champion meets, all at once; 0 sets no limit.

    `min_retention_lower` bounds the lower end of the interval of retention on dev. The speed-ups are ratios of median
    latencies within a round of the benchmark: over the teacher's int8 file, which varies little between machines, and
    over the PyTorch teacher, which varies much. `min_size_ratio` bounds the PyTorch teacher's size over the file's.
    """

    min_retention_lower: float = Field(ge=0)
    min_speedup_over_int8_teacher: float = Field(ge=0)
    min_speedup_over_torch_teacher: float = Field(ge=0)
    min_size_ratio: float = Field(ge=0)


class ReportParams(Section):
    """The rule for the champion: the best `metric` on dev among the `variants` that meet the constraints.

    If none meets them, the nearest candidate is packaged with a mark.
    """

    metric: Ranking
    variants: Variants
    constraints: Constraints

    @field_validator("variants")
    @classmethod
    def _exported(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse names that no exported file can have; `settings` holds the others against the section `export`."""
        if not all(is_onnx(name) for name in value) or len(set(value)) < len(value):
            raise ValueError(f"exported variants are expected, such as {INT8.name} or {FP32.name}, each at most once")
        return value
