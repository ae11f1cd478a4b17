"""What every student architecture is: a frozen specification that builds a classifier out of another one."""

from abc import abstractmethod

from transformers import PreTrainedModel

from pipestill.params import Section


class StudentSpec(Section):
    """Base of every student architecture: a `kind`, its settings, and `build`."""

    @abstractmethod
    def build(self, initial: PreTrainedModel) -> PreTrainedModel:
        """Build a new student from a model with the same labels and vocabulary, which is left as it is.

        Weights that are not taken from `initial` are random: seed torch first.
        """
