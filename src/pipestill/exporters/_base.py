"""What every export format is: a named file made from the traced graph of a classifier."""

from pathlib import PurePosixPath
from typing import ClassVar, NamedTuple

from pipestill.params import Section


class Shape(NamedTuple):
    """What fusions must know of a model; 0 where it has no such size."""

    num_heads: int
    hidden_size: int


class Exporter(Section):
    """Base of every export format: settings from params.yaml, and the name of its file."""

    file: ClassVar[PurePosixPath]
    """Where the file lies in the artifact folder; the names that transformers.js and optimum look for."""
