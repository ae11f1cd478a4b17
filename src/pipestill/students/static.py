"""The fastest student: a weighted bag of the teacher's token embeddings and a small perceptron.

See architectures/static.py for its arithmetic. The token table is the teacher's, cut to its `embedding_size` principal
directions where that is less than the teacher's width (surgery/directions.py; the share of the energy kept is reported)
and scaled to a root mean square of 1. Every token's weight starts out the same; perceptron and head are random. Word
order is lost: "not good, bad" and "not bad, good" are the same text to it. It can be made from any teacher.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field
from transformers import PreTrainedModel

from pipestill.architectures.static import StaticConfig, StaticForSequenceClassification
from pipestill.students._base import Batch, Built, StudentSpec
from pipestill.students._token_table import build_on_table


class StaticSpec(StudentSpec):
    """See the module.

    Attributes:
        embedding_size: width of the token table, at most the teacher's.
        dense_size: units of the perceptron's hidden layer.
    """

    kind: Literal["static"]
    embedding_size: int = Field(ge=1)
    dense_size: int = Field(ge=1)

    def build(self, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
        """Build a student on a model's token embeddings."""

        def new_model(shared: dict[str, Any]) -> StaticForSequenceClassification:
            return StaticForSequenceClassification(
                StaticConfig(
                    hidden_size=self.embedding_size,
                    dense_size=self.dense_size,
                    **shared,
                )
            )

        return build_on_table(initial, self.embedding_size, new_model, to_unit=True)
