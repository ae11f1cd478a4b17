"""The check for student kinds that need a BERT classifier (MiniLM is one)."""

from transformers import BertForSequenceClassification, PreTrainedModel

from pipestill.errors import ModelError


def as_bert(initial: PreTrainedModel, kind: str) -> BertForSequenceClassification:
    """Return the model as a BERT classifier.

    Args:
        initial: classifier of any kind.
        kind: student kind, for the message.

    Raises:
        ModelError: the model is not a BERT classifier.
    """
    if not isinstance(initial, BertForSequenceClassification):
        raise ModelError(
            f"a student of kind {kind} cannot be made from this model",
            found=type(initial).__name__,
            expected="a BertForSequenceClassification, whose weights are copied by name",
            next_step="choose another student kind for this teacher: docs/pipeline.md lists the teachers of each",
        )
    return initial
