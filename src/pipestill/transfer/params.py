"""The `transfer` section of params.yaml."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from pipestill.params import Section
from pipestill.transfer import Augmentation

Augmentations = Annotated[
    tuple[Augmentation, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
]


class TransferParams(Section):
    """Settings of the rows that are added to the train rows for the student."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    augmentations: Augmentations

    @model_validator(mode="after")
    def _one_of_a_kind(self) -> "TransferParams":
        kinds = [augmentation.kind for augmentation in self.augmentations]
        if len(set(kinds)) != len(kinds):
            raise ValueError("each kind of augmentation may occur once; use `copies` for more rows of a kind")
        return self
