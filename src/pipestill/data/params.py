"""The `prepare` section of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipestill.data.cleaning import CleaningRules
from pipestill.params import Section


class SplitRules(Section):
    """Fractions of the pool that become dev and test, where the source has no files for them."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    dev_fraction: Annotated[float, Field(gt=0, lt=1)]
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    rare_label_rows: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _something_left(self) -> "SplitRules":
        if self.dev_fraction + self.test_fraction >= 1:
            raise ValueError("dev_fraction + test_fraction must leave rows for train")
        return self


class PrepareParams(Section):
    """The `prepare` section: cleaning, deduplication and splits.

    `contradictions` is the rule for a text with two labels, `unseen_labels` the rule for a dev or test row whose label
    has no train row.
    """

    cleaning: CleaningRules
    split: SplitRules
    contradictions: Literal["drop", "majority"]
    unseen_labels: Literal["error", "drop"]
