"""The call that builds a student of any kind from another classifier."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

from torch import Tensor
from transformers import PreTrainedModel

from pipestill.diagnostics import Diagnostic
from pipestill.students.params import StudentSpec

Batch = Mapping[str, Tensor]
"""Rows of token ids: input_ids and attention_mask, both int64 `[batch, token]`."""


class Built(NamedTuple):
    """A new student, and the diagnostics of its architecture, which go into the training record and MLflow."""

    model: PreTrainedModel
    diagnostics: tuple[Diagnostic, ...] = ()


def build_architecture(spec: StudentSpec, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
    """Build a new student from a model with the same labels and vocabulary, which stays unchanged.

    Weights that are not taken from `initial` are random: seed torch first. The module is imported by the name of the
    kind, so that code is made of the architectures that params name and of no other.

    Args:
        spec: architecture and sizes.
        initial: the teacher, or the base.
        batches: batches of `spec.num_rows_read` training rows, or of all if there are fewer.

    Raises:
        ModelError: the architecture cannot be made from this model.
    """
    rows = [batches] if spec.num_rows_read else []
    built: Built = import_module(f"pipestill.students.{spec.kind}").build(spec, initial, *rows)
    return built
