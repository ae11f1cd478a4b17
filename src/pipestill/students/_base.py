"""What every student architecture is: a frozen specification that builds a classifier out of another one."""

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
    """A new student, and what its architecture says of it: facts end in the training record and in MLflow."""

    model: PreTrainedModel
    facts: tuple[Fact, ...] = ()


class StudentSpec(Section):
    """Base of every student architecture: a `kind`, its settings, and `build`."""

    @property
    def num_rows_read(self) -> int:
        """How many rows of those that the student will learn on `build` looks at; most kinds look at none."""
        return 0

    @abstractmethod
    def build(self, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
        """Build a new student from a model with the same labels and vocabulary, which is left as it is.

        Weights that are not taken from `initial` are random: seed torch first.

        Args:
            initial: the teacher, or the base.
            batches: `num_rows_read` rows, or as many as there are.

        Raises:
            ModelError: the architecture cannot be made of this model.
        """
