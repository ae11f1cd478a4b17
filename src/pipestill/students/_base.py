"""What every student architecture is: a frozen specification that builds a classifier out of another one."""

from abc import abstractmethod
from typing import NamedTuple

from transformers import PreTrainedModel

from pipestill.facts import Fact
from pipestill.params import Section


class Built(NamedTuple):
    """A new student, and what its architecture says of it: facts end in the training record and in MLflow."""

    model: PreTrainedModel
    facts: tuple[Fact, ...] = ()


class StudentSpec(Section):
    """Base of every student architecture: a `kind`, its settings, and `build`."""

    @abstractmethod
    def build(self, initial: PreTrainedModel) -> Built:
        """Build a new student from a model with the same labels and vocabulary, which is left as it is.

        Weights that are not taken from `initial` are random: seed torch first.

        Raises:
            ModelError: the architecture cannot be made of this model.
        """
