"""The base of losses that compare hidden states, with a learned projection where the widths differ."""

from typing import ClassVar

from torch import nn

from pipestill.losses._base import LossSpec
from pipestill.losses._features import Sizes


class HiddenSpec(LossSpec):
    """Base of a loss that compares hidden states of student and teacher, number by number."""

    asks_features: ClassVar[bool] = True

    def new_projection(self, student: Sizes, teacher: Sizes) -> nn.Module | None:
        """Make a learned map from the student's hidden size to the teacher's, `[..., hidden]`; None for equal ones."""
        if student.hidden_size == teacher.hidden_size:
            return None
        return nn.Linear(student.hidden_size, teacher.hidden_size, bias=False)
