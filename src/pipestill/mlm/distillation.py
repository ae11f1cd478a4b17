"""Distilling a task-agnostic student: built from some layers of the teacher, taught at the masked positions."""

import time
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset
from torch import Tensor
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, PreTrainedModel

from pipestill.diagnostics import Diagnostic
from pipestill.errors import ModelError
from pipestill.mlm.model import MaskedLm
from pipestill.mlm.params import MlmDistillParams
from pipestill.mlm.reader import MlmCache
from pipestill.mlm.records import MlmEpoch, MlmTrainingRecord
from pipestill.mlm.rows import MaskedRows
from pipestill.mlm.training import train_masked_lm
from pipestill.seeding import derive_seed, seed_everything
from pipestill.students._base import build_architecture
from pipestill.students.params import BertLayersSpec, DistilbertSpec
from pipestill.training.callbacks import Callbacks

_DISTILBERT_HEAD = {
    "cls.predictions.transform.dense": "vocab_transform",
    "cls.predictions.transform.LayerNorm": "vocab_layer_norm",
}
"""The parts of a masked language model's head: BERT's name and DistilBERT's. Both compute the same."""


class Distilled(NamedTuple):
    """A student, its record and the wall time of its training."""

    lm: MaskedLm
    record: MlmTrainingRecord
    seconds: float


def distil_mlm(
    params: MlmDistillParams,
    *,
    teacher: MaskedLm,
    cache: MlmCache,
    train: Dataset,
    dev: Dataset,
    scratch: Path,
    callbacks: Callbacks[MlmEpoch],
) -> Distilled:
    """Build a student from a teacher and train it on the teacher's cached outputs.

    Raises:
        ModelError: the student cannot be made from this teacher.
    """
    seed_everything(derive_seed(params.seed, "student"))
    model, diagnostics = build_student(params.architecture, teacher.model)
    student = MaskedLm(model, teacher.tokenizer, teacher.notice)
    start = time.perf_counter()
    record = train_masked_lm(
        name="mlm_distill",
        lm=student,
        rows=MaskedRows(train, cache),
        dev=MaskedRows(dev),
        weights=params.weights,
        temperature=cache.card.identity.temperature,
        params=params.training,
        seed=derive_seed(params.seed, "training"),
        scratch=scratch,
        callbacks=callbacks,
    )
    return Distilled(student, record.model_copy(update={"diagnostics": diagnostics}), time.perf_counter() - start)


def build_student(
    architecture: BertLayersSpec | DistilbertSpec, teacher: PreTrainedModel
) -> tuple[PreTrainedModel, tuple[Diagnostic, ...]]:
    """Build a masked language model from some of a teacher's layers and the teacher's head, without random weights.

    Raises:
        ModelError: the student cannot be made from this teacher.
    """
    # The student kinds build classifiers from classifiers, so the encoder is wrapped in one, whose head is discarded.
    classifier = AutoModelForSequenceClassification.from_config(teacher.config, trust_remote_code=False)
    classifier.base_model.load_state_dict(teacher.base_model.state_dict(), strict=False)
    built = build_architecture(architecture, classifier)
    student = AutoModelForMaskedLM.from_config(built.model.config, trust_remote_code=False)
    found = student.base_model.load_state_dict(built.model.base_model.state_dict(), strict=False)
    if found.missing_keys:
        raise ModelError("the student's encoder lacks weights", found=found.missing_keys[:5])
    head = _head_of(student, teacher)
    unknown = student.load_state_dict(head, strict=False).unexpected_keys
    mine = {name for name in student.state_dict() if not name.startswith(f"{student.base_model_prefix}.")}
    if unknown or mine - set(head):
        raise ModelError(
            "the student's head cannot be copied from the teacher's",
            found=f"{sorted(mine - set(head))[:5]} without a counterpart",
            next_step="choose another architecture for mlm_distill in pipelines/mlm/params.yaml",
        )
    student.tie_weights()
    return student.eval(), built.diagnostics


def _head_of(student: PreTrainedModel, teacher: PreTrainedModel) -> dict[str, Tensor]:
    """Return the teacher's head under the student's names."""
    prefix = f"{teacher.base_model_prefix}."
    head = {name: tensor for name, tensor in teacher.state_dict().items() if not name.startswith(prefix)}
    if type(student) is type(teacher):
        return head
    named = {
        f"{theirs}.{part}": head[f"{mine}.{part}"]
        for mine, theirs in _DISTILBERT_HEAD.items()
        for part in ("weight", "bias")
    }
    table = teacher.get_output_embeddings()
    return named | {"vocab_projector.weight": table.weight, "vocab_projector.bias": table.bias}
