"""A figure that something says of itself, with its unit: what a student's architecture found or kept."""

from typing import Literal

from pipestill.records import Record


class Fact(Record):
    """One figure.

    Attributes:
        name: what it is; a name says exactly what the value is.
        value: the figure.
        unit: what it counts; a fraction is between 0 and 1.
    """

    name: str
    value: float
    unit: Literal["parameters", "fraction", "tokens", "layers", "bytes"]
