"""Diagnostics: figures with their units that are measured while a student is built, such as the energy kept."""

from typing import Literal

from pipestill.records import Record


class Diagnostic(Record):
    """One diagnostic figure.

    Attributes:
        name: name that defines the figure exactly.
        value: value of the figure.
        unit: unit of the value; a fraction is between 0 and 1.
    """

    name: str
    value: float
    unit: Literal["parameters", "fraction", "tokens", "layers", "bytes"]
