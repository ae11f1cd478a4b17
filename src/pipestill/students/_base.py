"""The base of student architectures: each is a frozen specification that builds a classifier from another one."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor
from transformers import PreTrainedModel

from pipestill.facts import Fact
from pipestill.params import Section

Batch = Mapping[str, Tensor]
"""Rows of token ids: input_ids and attention_mask, both int64 `[batch, token]`."""


class Built(NamedTuple):
    """A new student, and the diagnostics of its architecture, which go into the training record and MLflow."""

    model: PreTrainedModel
    facts: tuple[Fact, ...] = ()


class StudentSpec(Section):
    """Base of every student architecture: a `kind`, its settings, and `build`."""

    @property
    def num_rows_read(self) -> int:
        """Number of the student's training rows that `build` reads; 0 for most kinds."""
        return 0

    @abstractmethod
    def build(self, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
        """Build a new student from a model with the same labels and vocabulary, which stays unchanged.

        Weights that are not taken from `initial` are random: seed torch first.

        Args:
            initial: the teacher, or the base.
            batches: batches of `num_rows_read` training rows, or of all if there are fewer.

        Raises:
            ModelError: the architecture cannot be made from this model.
        """
