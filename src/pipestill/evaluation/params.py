"""The `evaluate` section of params.yaml."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, field_validator

from pipestill.params import FROM_LIST, IntTuple, Section

N = TypeVar("N", int, float)


class QuantileSlices(Section):
    """Slice texts by length at quantiles of the split: 0.25, 0.5, 0.75 makes quarters."""

    kind: Literal["quantiles"]
    quantiles: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], FROM_LIST]

    @field_validator("quantiles")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        return _require_ascending(value)


class BoundSlices(Section):
    """Slice texts at fixed lengths in characters: 100, 1000 makes (0, 100], (100, 1000] and above."""

    kind: Literal["bounds"]
    characters: IntTuple

    @field_validator("characters")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return _require_ascending(value)


class BootstrapParams(Section):
    """Settings of the intervals: number of draws, random seed, and the share of draws inside."""

    replicates: int = Field(ge=100, le=100_000)
    seed: int = Field(ge=0)
    confidence: float = Field(gt=0.5, lt=1)


class EvaluateParams(Section):
    """Settings of scoring. `batch_size` affects only speed, `num_ece_bins` the definition of ece."""

    bootstrap: BootstrapParams
    num_ece_bins: int = Field(ge=2, le=100)
    slices: Annotated[QuantileSlices | BoundSlices, Field(discriminator="kind")]
    batch_size: int = Field(ge=2, le=4096)


def _require_ascending(value: tuple[N, ...]) -> tuple[N, ...]:
    if list(value) != sorted(set(value)):
        raise ValueError("must ascend, each value once")
    return value
