"""The `baseline` section of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from pipestill.params import FROM_LIST, Section

Strengths = Annotated[tuple[Annotated[float, Field(gt=0)], ...], FROM_LIST, Field(min_length=1, max_length=20)]


class BaselineParams(Section):
    """TF-IDF features and logistic regression.

    `analyzer` counts words, or characters within words (for languages without spaces), in n-grams of up to `max_ngram`.
    Features in fewer than `min_rows` rows are left out, the `max_features` most frequent kept. `inverse_regularisation`
    lists the values of scikit-learn's C to try; the best on dev is kept.
    """

    analyzer: Literal["word", "char_wb"]
    max_ngram: int = Field(ge=1, le=8)
    min_rows: int = Field(ge=1)
    max_features: int = Field(ge=100, le=2_000_000)
    inverse_regularisation: Strengths
    max_iterations: int = Field(ge=100, le=100_000)
