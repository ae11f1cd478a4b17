"""Fine-tuning a teacher, and the section `finetune_teacher` of params.yaml."""

import time
from pathlib import Path

from pydantic import Field

from pipestill.losses.cross_entropy import CrossEntropySpec
from pipestill.params import Section
from pipestill.seeding import derive_seed, seed_everything
from pipestill.teacher import new_classifier
from pipestill.teacher.tracing import check_exportable
from pipestill.training.material import Material, Trained
from pipestill.training.objective import Term
from pipestill.training.params import TrainingParams
from pipestill.training.rows import TrainingRows
from pipestill.training.signals import NoTeacher
from pipestill.training.trainer import Listener, train


class FinetuneTeacherParams(Section):
    """How the teacher is fine-tuned on the train rows with cross-entropy.

    Attributes:
        seed: of the new head, the order of rows and the dropouts.
        max_length: the longest input in tokens; the rest of a text is cut off.
        training: see `TrainingParams`.
    """

    seed: int = Field(ge=0)
    max_length: int = Field(ge=4)
    training: TrainingParams


class MoreTeacherParams(FinetuneTeacherParams):
    """One more teacher, for a committee.

    Attributes:
        base: what it is made of: the base of `fetch`, or one of `more_bases`.
    """

    base: str = Field(pattern=r"^models/(base|bases/\w+)$")


def finetune_teacher(
    name: str, params: FinetuneTeacherParams, base: Path, material: Material, listener: Listener
) -> Trained:
    """Fine-tune a pretrained encoder on hard labels with cross-entropy."""
    seed_everything(derive_seed(params.seed, "head"))
    classifier = new_classifier(
        base, labels=material.labels, max_length=params.max_length, dropout=params.training.dropout
    )
    check_exportable(classifier.model, classifier.tokenizer)
    start = time.perf_counter()
    record = train(
        name=name,
        classifier=classifier,
        rows=TrainingRows(material.table, classifier.tokenizer, material.scratch),
        dev=material.dev,
        objective=(Term(1.0, CrossEntropySpec(kind="cross_entropy")),),
        signal=NoTeacher(),
        params=params.training,
        seed=derive_seed(params.seed, "training"),
        scratch=material.scratch,
        listener=listener,
    )
    return Trained(classifier, record, time.perf_counter() - start, 0.0)
