"""A student's tokens and their embeddings, as its params `vocabulary` and `embedding` name them.

The vocabulary is pruned in the model that the student is built from, so that this works for every architecture; the
embedding is factorised in the student itself. The student keeps the pruned tokenizer for good.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from datasets import Dataset
from transformers import PreTrainedModel

from pipestill.diagnostics import Diagnostic
from pipestill.students._base import Batch
from pipestill.teacher import TorchClassifier
from pipestill.text.vocabulary import count_tokens, prune_tokenizer, unknown_fraction
from pipestill.training.embeddings import factorise_embedding, pick_tokens
from pipestill.training.student_params import EmbeddingSpec, FactorisedEmbeddingSpec, PrunedVocabulary, VocabularySpec

OldIds = Sequence[int] | None
"""Map from a token's id in the pruned vocabulary to its id in the whole one; None without pruning."""

BATCH_ROWS = 1000
"""Rows in memory while tokens are counted."""


class Pruned(NamedTuple):
    """The model that a student is built from, its vocabulary pruned.

    Attributes:
        initial: model, and tokenizer with the pruned vocabulary.
        old_ids: map to the ids of the whole vocabulary, see `OldIds`.
        diagnostics: tokens kept, parameters saved, and the effects on dev texts.
    """

    initial: TorchClassifier
    old_ids: OldIds
    diagnostics: tuple[Diagnostic, ...]


def prune_vocabulary(
    spec: VocabularySpec, initial: TorchClassifier, table: Dataset, dev_texts: Sequence[str]
) -> Pruned:
    """Cut a classifier down to the tokens that a student's training rows need.

    Args:
        spec: rule for the tokens to keep.
        initial: model and whole tokenizer; the model is changed in place.
        table: rows that the student trains on, column text; read in batches.
        dev_texts: texts on which unknown tokens and longer inputs are measured.

    Raises:
        ModelError: the tokenizer or the embedding is of a kind that cannot be pruned.
    """
    if not isinstance(spec, PrunedVocabulary):
        return Pruned(initial, None, ())
    whole = initial.tokenizer
    tokenizer, old_ids = prune_tokenizer(whole, count_tokens(whole, _texts(table)), min_count=spec.min_count)
    saved = pick_tokens(initial.model, old_ids)
    before, after = count_tokens(whole, [dev_texts]), count_tokens(tokenizer, [dev_texts])
    growth = float(after.sum() / max(before.sum(), 1) - 1)
    diagnostics = (
        Diagnostic(name="vocabulary_kept_tokens", value=len(old_ids), unit="tokens"),
        Diagnostic(name="vocabulary_whole_tokens", value=len(whole), unit="tokens"),
        Diagnostic(name="vocabulary_saved_bytes", value=saved, unit="bytes"),
        Diagnostic(name="vocabulary_dev_unknown_fraction", value=unknown_fraction(tokenizer, after), unit="fraction"),
        Diagnostic(
            name="vocabulary_whole_dev_unknown_fraction", value=unknown_fraction(whole, before), unit="fraction"
        ),
        Diagnostic(name="vocabulary_dev_token_growth_fraction", value=growth, unit="fraction"),
    )
    return Pruned(replace(initial, tokenizer=tokenizer), old_ids, diagnostics)


def shrink_embedding(spec: EmbeddingSpec, student: PreTrainedModel, batches: Sequence[Batch]) -> tuple[Diagnostic, ...]:
    """Factorise a student's token embedding in place, if its params ask for it.

    Args:
        spec: full or factorised embedding.
        student: student to change.
        batches: rows whose tokens choose the directions of the narrow table.

    Returns:
        The share of energy kept; empty where the embedding stays whole.

    Raises:
        ModelError: the embedding cannot be factorised, or would not be smaller.
    """
    if not isinstance(spec, FactorisedEmbeddingSpec):
        return ()
    energy = factorise_embedding(student, spec.size, batches)
    return (Diagnostic(name="embedding_energy_fraction", value=energy, unit="fraction"),)


def _texts(table: Dataset) -> Iterator[list[str]]:
    for start in range(0, len(table), BATCH_ROWS):
        yield table[start : start + BATCH_ROWS]["text"]
