"""Numbers that may change while a model is trained, such as the weight of a loss or a temperature.

With progress x, 0 at the first optimiser step and 1 at the last:

    linear:   start + (end - start) * x
    cosine:   end + (start - end) * (1 + cos(pi * x)) / 2
    constant: start, which equals end
"""

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Tag, model_validator

from pipestill.params import Section


class Schedule(Section):
    """A number that changes from `start` to `end` over a training."""

    kind: Literal["linear", "cosine", "constant"]
    start: float
    end: float

    @model_validator(mode="after")
    def _constant_stays(self) -> Self:
        if self.kind == "constant" and self.start != self.end:
            raise ValueError("a constant starts and ends with the same number")
        return self


def _tag(value: object) -> str:
    return "schedule" if isinstance(value, Mapping | Schedule) else "number"


Number = Annotated[
    Annotated[float, Tag("number")] | Annotated[Schedule, Tag("schedule")],
    Discriminator(_tag),
]
"""A number in params.yaml, or a mapping with kind, start and end."""


def number_at(number: "float | Schedule", progress: float) -> float:
    """Return the value of a number at some progress of a training.

    Args:
        number: constant or schedule from params.yaml.
        progress: progress from 0 at the first optimiser step to 1 at the last.
    """
    if not isinstance(number, Schedule):
        return number
    done = progress if number.kind == "linear" else (1 - math.cos(math.pi * progress)) / 2
    return number.start + (number.end - number.start) * done


def extremes(number: "float | Schedule") -> tuple[float, float]:
    """Return the smallest and the largest value that a number takes."""
    ends = (number.start, number.end) if isinstance(number, Schedule) else (number, number)
    return min(ends), max(ends)


def _not_negative(number: "float | Schedule") -> "float | Schedule":
    if extremes(number)[0] < 0:
        raise ValueError("should be greater than or equal to 0")
    return number


def _positive(number: "float | Schedule") -> "float | Schedule":
    if extremes(number)[0] <= 0:
        raise ValueError("should be greater than 0")
    return number


Weight = Annotated[Number, AfterValidator(_not_negative)]
"""Weight of a loss: 0 or more."""
Temperature = Annotated[Number, AfterValidator(_positive)]
"""Temperature that logits are divided by: above 0."""
