"""What can only be taken out of a BERT classifier (MiniLM is one)."""

from transformers import BertForSequenceClassification, PreTrainedModel

from pipestill.errors import ModelError


def as_bert(initial: PreTrainedModel, kind: str) -> BertForSequenceClassification:
    """The model as a BERT classifier.

    Args:
        initial: any classifier.
        kind: the student kind that asks, for the message.

    Raises:
        ModelError: it is none.
    """
    if not isinstance(initial, BertForSequenceClassification):
        raise ModelError(
            f"a student of kind {kind} cannot be made of this model",
            found=type(initial).__name__,
            expected="a BertForSequenceClassification: its weights have a place for each piece that is copied",
            next_step="choose another student kind for this teacher: docs/pipeline.md lists what each is made of",
        )
    return initial
