"""The fastest student: a weighted bag of the teacher's token embeddings and a small perceptron.

See architectures/static.py for its arithmetic. The token table is the teacher's, cut to its `embedding_size` principal
directions where that is less than the teacher's width (surgery/directions.py; the share of the energy kept is reported)
and scaled to a root mean square of 1. Every token's weight starts out the same; perceptron and head are random. Word
order is lost: "not good, bad" and "not bad, good" are one text to it. It is made of any teacher.
"""

from typing import Literal

import torch
from pydantic import Field
from transformers import PreTrainedModel

from pipestill.architectures.static import StaticConfig, StaticForSequenceClassification
from pipestill.facts import Fact
from pipestill.students._base import Built, StudentSpec
from pipestill.surgery.directions import reduced


class StaticSpec(StudentSpec):
    """See the module.

    Attributes:
        embedding_size: width of the token table, at most the teacher's.
        dense_size: units of the perceptron's hidden layer.
    """

    kind: Literal["static"]
    embedding_size: int = Field(ge=1)
    dense_size: int = Field(ge=1)

    def build(self, initial: PreTrainedModel) -> Built:
        """Build a student on a model's token embeddings."""
        table, energy = reduced(initial.get_input_embeddings().weight, self.embedding_size)
        config = StaticConfig(
            vocab_size=len(table),
            hidden_size=self.embedding_size,
            dense_size=self.dense_size,
            pad_token_id=initial.config.pad_token_id,
            id2label=initial.config.id2label,
            label2id=initial.config.label2id,
        )
        student = StaticForSequenceClassification(config)
        with torch.no_grad():
            student.word_embeddings.weight.copy_(table / table.square().mean().sqrt())
        return Built(student, (Fact(name="word_embedding_energy_kept_fraction", value=energy, unit="fraction"),))
