"""The base of every export format: a named file made from the traced graph of a classifier."""

from pathlib import PurePosixPath
from typing import ClassVar, NamedTuple

from pipestill.params import Section


class Shape(NamedTuple):
    """Sizes of a model that fusions need; 0 for a size that the model lacks."""

    num_heads: int
    hidden_size: int


class Exporter(Section):
    """Base of every export format: settings from params.yaml, and the name of its file."""

    file: ClassVar[PurePosixPath]
    """Path of the file in the artifact folder: the name that transformers.js and optimum expect."""
