"""Training a student: building its model, targets and objective from its params."""

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from pipestill.choices import Choice
from pipestill.diagnostics import Diagnostic
from pipestill.errors import ModelError
from pipestill.losses._features import Reads
from pipestill.seeding import derive_seed, seed_everything
from pipestill.students._base import build_architecture
from pipestill.tasks.targets import LabelSet, check_labels
from pipestill.teacher import TorchClassifier, check_length, choose_device_precision, load_classifier
from pipestill.teacher.from_base import new_classifier
from pipestill.text.batching import collate, length_sorted_batches
from pipestill.text.tokenizer import encode
from pipestill.training.callbacks import Callbacks
from pipestill.training.classifier import train_classifier
from pipestill.training.inputs import Trained, TrainingInputs
from pipestill.training.learner import objective_reads
from pipestill.training.max_length import fit_texts_and_limit
from pipestill.training.recorder import sizes_of
from pipestill.training.records import EpochPoint
from pipestill.training.signals import NoTeacher, Signal
from pipestill.training.student_params import StudentParams
from pipestill.training.teachers import (
    CachedFeatures,
    OnlineTeacher,
    holds_features,
    open_cached_teacher,
    open_logits,
)
from pipestill.training.vocabulary import OldIds, prune_vocabulary, shrink_embedding

TEACHER = Path("models/teacher")
LOGITS = Path("data/logits")
ENSEMBLES = Path("data/ensembles")
BUILD_BATCH_SIZE = 64
"""Rows that go through a model at once while a student is built on it; speed and memory only."""


class Student(NamedTuple):
    """A new student.

    Attributes:
        classifier: model and tokenizer.
        diagnostics: diagnostics of its architecture, vocabulary and embedding.
        choices: values chosen for `auto` settings.
        old_ids: the teacher's id of each of its tokens; None where both use the same ids.
    """

    classifier: TorchClassifier
    diagnostics: tuple[Diagnostic, ...]
    choices: tuple[Choice, ...]
    old_ids: OldIds


def train_student(
    name: str, params: StudentParams, inputs: TrainingInputs, callbacks: Callbacks[EpochPoint]
) -> Trained:
    """Build a student and train it on the targets in its params: the cache, the teacher in the loop, or hard labels."""
    student = build_student(params, inputs)
    signal = signal_for(params, student.classifier, inputs, student.old_ids)
    start = time.perf_counter()
    record = train_classifier(
        name=name,
        classifier=student.classifier,
        inputs=inputs,
        objective=params.terms,
        signal=signal,
        settings=params.training,
        seed=derive_seed(params.seed, "training"),
        callbacks=callbacks,
        choices=student.choices,
    )
    record = record.model_copy(update={"diagnostics": student.diagnostics})
    return Trained(student.classifier, record, time.perf_counter() - start, signal.seconds)


def build_student(params: StudentParams, inputs: TrainingInputs) -> Student:
    """Build a student out of the model that its params name.

    Raises:
        ModelError: the teacher has other labels than the data, or the student cannot be made from it as the params ask.
    """
    labels = inputs.labels
    seed_everything(derive_seed(params.seed, "student"))
    folder = Path(params.init)
    if folder == TEACHER:
        initial = _teacher(labels)
    else:
        explicit = None if params.max_length == "auto" else params.max_length
        initial = new_classifier(folder, labels=labels, max_length=explicit, dropout=params.training.dropout)
    choices = _set_max_length(initial, params, inputs)
    pruned = prune_vocabulary(params.vocabulary, initial, inputs.table, inputs.dev.texts)
    num_rows = max(params.architecture.num_rows_read, params.embedding.num_rows_read)
    batches = first_batches(inputs, pruned.initial.tokenizer, num_rows)
    model, diagnostics = build_architecture(params.architecture, pruned.initial.model, batches)
    check_length(model, initial.max_length)
    shrunk = shrink_embedding(params.embedding, model, batches)
    diagnostics = (*diagnostics, *pruned.diagnostics, *shrunk)
    return Student(replace(pruned.initial, model=model), diagnostics, choices, pruned.old_ids)


def _set_max_length(initial: TorchClassifier, params: StudentParams, inputs: TrainingInputs) -> tuple[Choice, ...]:
    """Set the longest input of a student; `auto` is the teacher's, or else fits the texts and the time limit."""
    if params.max_length != "auto":
        initial.tokenizer.model_max_length = params.max_length
        return ()
    if Path(params.init) != TEACHER:
        file = inputs.scratch / "max_length.json"
        num_labels = inputs.labels.num_labels
        return (fit_texts_and_limit(initial, inputs.table, params.training, num_labels, file),)
    return (Choice(setting="max_length", asked="auto", used=str(initial.max_length), reason="the teacher's"),)


def first_batches(inputs: TrainingInputs, tokenizer: PreTrainedTokenizerBase, num_rows: int) -> list[dict[str, Tensor]]:
    """Return the first rows that a student will learn on, in batches of similar length.

    A table is sorted by content id, a hash of the text, so its first rows are spread over it.
    """
    rows = encode(tokenizer, inputs.table[:num_rows]["text"])
    return [
        collate([rows[row] for row in batch], tokenizer.pad_token_id)
        for batch in length_sorted_batches([len(row) for row in rows], BUILD_BATCH_SIZE)
    ]


def signal_for(
    params: StudentParams, student: TorchClassifier, inputs: TrainingInputs, old_ids: OldIds = None
) -> Signal:
    """Open the source of a training's targets.

    Args:
        params: settings that name the losses and the source of their targets.
        student: student to be trained.
        inputs: rows to train on, and the dev split.
        old_ids: the teacher's id of each of the student's tokens; None where they are the same.

    Raises:
        ModelError: student and teacher do not fit a loss, or each other.
    """
    if not params.asks_teacher:
        return NoTeacher()
    targets = Path(params.targets)
    if TEACHER not in {Path(params.init), targets}:  # then the student's stage does not depend on it
        return open_logits(targets, inputs.labels, inputs.table)
    teacher = _teacher(inputs.labels)
    sizes = sizes_of(teacher.model)
    reads = objective_reads(params.terms, sizes_of(student.model), sizes) if params.asks_features else Reads()
    cached = targets != TEACHER and holds_features(targets, reads)
    loop_needed = targets == TEACHER or (bool(reads.teacher) and not cached)
    if (loop_needed or reads.tokens == "all") and student.max_length != teacher.max_length:
        raise ModelError(
            "teacher and student must read the same tokens, but their max_length differs",
            found=student.max_length,
            expected=teacher.max_length,
            next_step="set the student's max_length to the teacher's, or use cached logits only",
        )
    in_the_loop = None
    if loop_needed:
        precision = choose_device_precision(params.training.precision).used
        in_the_loop = OnlineTeacher(teacher, precision, reads.teacher, old_ids=old_ids)
    if in_the_loop and targets == TEACHER:
        return in_the_loop
    if in_the_loop:
        names = ", ".join(map(str, sorted(reads.teacher)))
        print(f"the teacher runs in the loop for features that {targets} does not hold: {names}", flush=True)
    if targets.parent == ENSEMBLES:
        return open_logits(targets, inputs.labels, inputs.table, in_the_loop)
    features = CachedFeatures(reads, sizes) if reads.teacher and cached else None
    return open_cached_teacher(targets, TEACHER, teacher, inputs.table, in_the_loop, features)


def _teacher(labels: LabelSet) -> TorchClassifier:
    teacher = load_classifier(TEACHER)
    check_labels(TEACHER, teacher.labels.labels, labels.labels)
    return teacher
