"""Fine-tuning a teacher."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipestill.choices import Choice
from pipestill.data.tables import Rows
from pipestill.losses.params import CrossEntropySpec, LossSpec, Term
from pipestill.seeding import derive_seed, seed_everything
from pipestill.tasks import CLASSES
from pipestill.teacher import choose_device_precision
from pipestill.teacher.from_base import new_classifier
from pipestill.teacher.tracing import check_exportable
from pipestill.training.callbacks import Callbacks
from pipestill.training.classifier import train_classifier
from pipestill.training.head import FittedHead, fit_head, num_rows_to_fit
from pipestill.training.inputs import Trained, TrainingInputs
from pipestill.training.max_length import fit_texts_and_limit
from pipestill.training.params import FinetuneTeacherParams
from pipestill.training.records import EpochPoint
from pipestill.training.signals import NoTeacher

HEAD_BATCH_SIZE = 64
"""Rows that go through the frozen base at once; speed and memory only."""
HARD_LOSSES: Mapping[str, LossSpec] = {CLASSES.kind: CrossEntropySpec(kind="cross_entropy")}
"""The loss on hard targets by kind of task."""


def finetune_teacher(
    name: str, params: FinetuneTeacherParams, base: Path, inputs: TrainingInputs, callbacks: Callbacks[EpochPoint]
) -> Trained:
    """Fine-tune a pretrained encoder on hard labels, from a head fitted on the frozen base."""
    start = time.perf_counter()
    seed_everything(derive_seed(params.seed, "head"))
    explicit = None if params.max_length == "auto" else params.max_length
    classifier = new_classifier(base, labels=inputs.labels, max_length=explicit, dropout=params.training.dropout)
    choices: list[Choice] = []
    if explicit is None:
        file = inputs.scratch / "max_length.json"
        choices.append(fit_texts_and_limit(classifier, inputs.table, params.training, inputs.labels.num_labels, file))
    check_exportable(classifier.model, classifier.tokenizer)
    head = FittedHead(None, None)
    if params.head == "probe":
        rows = inputs.table[: num_rows_to_fit(inputs.labels.num_labels)]
        head = fit_head(
            classifier,
            Rows(rows["content_id"], rows["text"], np.asarray(rows["label_id"], dtype=np.int64)),
            inputs.dev,
            batch_size=HEAD_BATCH_SIZE,
            precision=choose_device_precision(params.training.precision).used,
            name=name,
        )
    choices += [head.choice] if head.choice else []
    record = train_classifier(
        name=name,
        classifier=classifier,
        inputs=inputs,
        objective=(Term(1.0, HARD_LOSSES[inputs.labels.task.kind]),),
        signal=NoTeacher(),
        settings=params.training,
        seed=derive_seed(params.seed, "training"),
        callbacks=callbacks,
        choices=tuple(choices),
        start=head.start,
    )
    return Trained(classifier, record, time.perf_counter() - start, 0.0)
