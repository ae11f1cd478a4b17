"""The fastest student: a weighted bag of the teacher's token embeddings and a small perceptron.

See architectures/static.py for its arithmetic. The token table is the teacher's, cut to its `embedding_size` principal
directions where that is less than the teacher's width (surgery/directions.py; the share of the energy kept is reported)
and scaled to a root mean square of 1. Every token's weight starts out the same; perceptron and head are random. Word
order is lost: "not good, bad" and "not bad, good" are the same text to it. It can be made from any teacher.
"""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel

from pipestill.architectures.static import StaticConfig, StaticForSequenceClassification
from pipestill.students._base import Batch, Built
from pipestill.students._token_table import build_on_table
from pipestill.students.params import StaticSpec


def build(spec: StaticSpec, initial: PreTrainedModel, batches: Sequence[Batch] = ()) -> Built:
    """Build a student on a model's token embeddings."""

    def new_model(shared: dict[str, Any]) -> StaticForSequenceClassification:
        return StaticForSequenceClassification(
            StaticConfig(
                hidden_size=spec.embedding_size,
                dense_size=spec.dense_size,
                **shared,
            )
        )

    return build_on_table(initial, batches, spec.embedding_size, new_model, to_unit=True)
