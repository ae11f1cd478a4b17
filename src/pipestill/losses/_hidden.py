"""The base of losses that compare hidden states, with a learned projection where the widths differ."""

from typing import ClassVar

from torch import nn

from pipestill.losses._base import LossSpec
from pipestill.losses._features import Sizes, new_projection


class HiddenSpec(LossSpec):
    """Base of a loss that compares hidden states of student and teacher, number by number."""

    asks_features: ClassVar[bool] = True

    def new_projection(self, student: Sizes, teacher: Sizes) -> nn.Module | None:
        """Make the projection from the student's width to the teacher's, where they differ."""
        return new_projection(student, teacher)
