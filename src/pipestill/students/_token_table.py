"""Building students from a teacher's token table, with random weights above it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from pipestill.architectures._base import TokenTableClassifier
from pipestill.diagnostics import Diagnostic
from pipestill.students._base import Batch, Built
from pipestill.surgery.directions import count_occurrences, reduced


def build_on_table(
    initial: PreTrainedModel,
    batches: Sequence[Batch],
    size: int,
    new_model: Callable[[dict[str, Any]], TokenTableClassifier],
    *,
    to_unit: bool,
) -> Built:
    """Build a student on a model's token embeddings, cut to their principal directions.

    Args:
        initial: model of any kind; stays unchanged.
        batches: rows whose tokens choose the directions.
        size: width of the student's table, at most the model's.
        new_model: function that makes the student with random weights, from the part of its config that the model
            decides: vocabulary and labels.
        to_unit: whether to scale the table to a root mean square of 1, which random weights expect without a
            normalisation before them.

    Returns:
        The student, and the share of the table's energy that it keeps.

    Raises:
        ModelError: the model's table is narrower than `size`.
    """
    whole = initial.get_input_embeddings().weight
    table, energy = reduced(whole, count_occurrences(batches, num_tokens=len(whole)).tokens, size)
    student = new_model(
        {
            "vocab_size": len(table),
            "pad_token_id": initial.config.pad_token_id,
            "id2label": initial.config.id2label,
            "label2id": initial.config.label2id,
        }
    )
    with torch.no_grad():
        student.word_embeddings.weight.copy_(table / table.square().mean().sqrt() if to_unit else table)
    return Built(student, (Diagnostic(name="word_embedding_energy_kept_fraction", value=energy, unit="fraction"),))
