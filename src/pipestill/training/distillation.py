"""Training a student: what its params name becomes a model, a signal and an objective."""

import time
from pathlib import Path

from pipestill.data.schema import LabelSet, check_labels
from pipestill.errors import ModelError
from pipestill.facts import Fact
from pipestill.seeding import derive_seed, seed_everything
from pipestill.sites import Site
from pipestill.teacher import Classifier, check_length, load_classifier, new_classifier
from pipestill.text.tokenizer import load_tokenizer
from pipestill.training.learner import objective_reads
from pipestill.training.material import Material, Trained
from pipestill.training.recorder import sizes_of
from pipestill.training.rows import TrainingRows
from pipestill.training.signals import NoTeacher, Signal
from pipestill.training.student_params import StudentParams
from pipestill.training.teachers import OnlineTeacher, open_cached_teacher
from pipestill.training.trainer import Listener, train

TEACHER = Path("models/teacher")


def train_student(name: str, params: StudentParams, material: Material, listener: Listener) -> Trained:
    """Build a student and train it on what its params name: the cache, the teacher in the loop, or hard labels."""
    student, facts = build_student(params, material.labels)
    signal = signal_for(params, student, material)
    start = time.perf_counter()
    record = train(
        name=name,
        classifier=student,
        rows=TrainingRows(material.table, student.tokenizer, material.scratch),
        dev=material.dev,
        objective=params.terms,
        signal=signal,
        params=params.training,
        seed=derive_seed(params.seed, "training"),
        scratch=material.scratch,
        listener=listener,
    )
    record = record.model_copy(update={"facts": facts})
    return Trained(student, record, time.perf_counter() - start, signal.seconds)


def build_student(params: StudentParams, labels: LabelSet) -> tuple[Classifier, tuple[Fact, ...]]:
    """Build a student out of the model that its params name.

    Returns:
        The student, and the facts that its architecture states.

    Raises:
        ModelError: the teacher has other labels than the data.
    """
    seed_everything(derive_seed(params.seed, "student"))
    folder = Path(params.init)
    if folder == TEACHER:
        initial = _teacher(labels)
    else:
        initial = new_classifier(folder, labels=labels, max_length=params.max_length, dropout=params.training.dropout)
    model, facts = params.architecture.build(initial.model)
    check_length(model, params.max_length)
    tokenizer = load_tokenizer(folder, params.max_length)
    return Classifier(model=model, tokenizer=tokenizer, labels=labels, notice=initial.notice), facts


def signal_for(params: StudentParams, student: Classifier, material: Material) -> Signal:
    """What answers for a teacher.

    Raises:
        ModelError: student and teacher do not fit a loss, or each other.
    """
    if not params.asks_teacher:
        return NoTeacher()
    teacher = _teacher(material.labels)
    sites: frozenset[Site] = frozenset()
    if params.asks_features:
        sites = objective_reads(params.terms, sizes_of(student.model), sizes_of(teacher.model)).teacher
    in_the_loop = None
    if Path(params.targets) == TEACHER or sites:
        if params.max_length != teacher.max_length:
            raise ModelError(
                "with the teacher in the loop both read the same tokens, but their longest inputs differ",
                found=params.max_length,
                expected=teacher.max_length,
                next_step="set the student's max_length to the teacher's, or its targets to data/logits",
            )
        in_the_loop = OnlineTeacher(teacher, params.training.precision, sites)
    if in_the_loop and Path(params.targets) == TEACHER:
        return in_the_loop
    if in_the_loop:
        print(f"the teacher runs in the loop for features: {', '.join(map(str, sorted(sites)))}", flush=True)
    return open_cached_teacher(Path(params.targets), TEACHER, teacher, material.table, in_the_loop)


def _teacher(labels: LabelSet) -> Classifier:
    teacher = load_classifier(TEACHER)
    check_labels(TEACHER, teacher.labels.labels, labels.labels)
    return teacher
