"""The choice of a model's layers to keep: a list, or a preset.

    uniform   evenly spread, the first and the last among them: floor(i * (n - 1) / (N - 1)) for i = 0..N-1
    first     0, 1, ..., N - 1
    last      n - N, ..., n - 1

Layers count from 0; n is their number and N the number to keep.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from pipestill.errors import ModelError
from pipestill.params import IntTuple, Section


class LayerPreset(Section):
    """A preset choice of layers; see the module."""

    preset: Literal["uniform", "first", "last"]
    num_layers: int = Field(ge=1)

    def numbers(self, available: int) -> tuple[int, ...]:
        """Return the preset's layers of a model with `available` layers."""
        if self.preset == "first":
            return tuple(range(self.num_layers))
        if self.preset == "last":
            return tuple(range(available - self.num_layers, available))
        gaps = max(self.num_layers - 1, 1)
        return tuple(position * (available - 1) // gaps for position in range(self.num_layers))


def _form(choice: object) -> str:
    # Told apart before they are parsed, so that a mistake in one is not reported as a mistake in both.
    return "by name" if isinstance(choice, dict | LayerPreset) else "by number"


def _some(choice: tuple[int, ...] | LayerPreset) -> tuple[int, ...] | LayerPreset:
    if choice == ():
        raise ValueError("at least one layer is needed")
    return choice


LayerChoice = Annotated[
    Annotated[IntTuple, Tag("by number")] | Annotated[LayerPreset, Tag("by name")],
    Discriminator(_form),
    AfterValidator(_some),
]
"""Layers by number, or a preset."""


def chosen_layers(choice: LayerChoice, available: int) -> tuple[int, ...]:
    """Return the layers of a choice, counted from 0.

    Args:
        choice: list of layers, or a preset.
        available: number of layers of the model.

    Raises:
        ModelError: a layer does not exist.
    """
    if isinstance(choice, LayerPreset):
        numbers = choice.numbers(available)
        wrong: object = choice if choice.num_layers > available else None
    else:
        numbers = choice
        wrong = [number for number in numbers if not 0 <= number < available] or None
    if wrong is not None:
        raise ModelError(
            "a student asks for layers that its initial model does not have",
            found=wrong,
            expected=f"layers 0 to {available - 1}",
            next_step="correct `layers` of this student in params.yaml",
        )
    return numbers
