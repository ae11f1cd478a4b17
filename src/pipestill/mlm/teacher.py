"""The teacher of task-agnostic distillation: a base with its own masked language model's head, or with a new one.

A base that was tuned for another purpose, such as a sentence encoder, lacks such a head. A new head is then trained
first with a frozen encoder, its output table tied to the token embeddings; afterwards the whole model may be adapted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset

from pipestill.mlm.model import MaskedLm, load_masked_lm
from pipestill.mlm.objective import HARD_ONLY
from pipestill.mlm.params import MlmTeacherParams, WholeAdaptation
from pipestill.mlm.records import MlmEpoch, MlmScores, MlmTrainingRecord
from pipestill.mlm.rows import MaskedRows
from pipestill.mlm.training import score_masked_lm, train_masked_lm
from pipestill.records import Record
from pipestill.seeding import derive_seed, seed_everything
from pipestill.teacher import check_length, choose_device_precision
from pipestill.training.callbacks import Callbacks
from pipestill.training.params import OptimiserParams


class MlmTeacherRecord(Record):
    """The record of making a teacher: the origin of its head, and its scores.

    Attributes:
        has_head: whether the base came with a head.
        before: dev scores as loaded; a new head is random.
        after: dev scores as saved.
        new_head: training of the new head; None where the base came with one.
        adaptation: training of the whole model; None where params turn it off.
    """

    has_head: bool
    before: MlmScores
    after: MlmScores
    new_head: MlmTrainingRecord | None
    adaptation: MlmTrainingRecord | None


class MadeTeacher(NamedTuple):
    """A teacher and its record."""

    lm: MaskedLm
    record: MlmTeacherRecord


def make_teacher(
    params: MlmTeacherParams,
    base: Path,
    train: Dataset,
    dev: Dataset,
    scratch: Path,
    log_phase: Callable[[str], Callbacks[MlmEpoch]],
) -> MadeTeacher:
    """Load a base, add a head if it lacks one, and adapt it to these texts if the params ask for it.

    Args:
        params: section `mlm_teacher` of params.yaml.
        base: folder of the base.
        train: masked rows to train on.
        dev: masked rows to measure on.
        scratch: folder that survives a kill.
        log_phase: function from a phase's name to the callbacks that log its curves.

    Raises:
        ModelError: the base cannot be loaded, or reads fewer tokens than the rows have.
    """
    seed_everything(derive_seed(params.seed, "head"))
    lm, has_head = load_masked_lm(base)
    rows, dev_rows = MaskedRows(train), MaskedRows(dev)
    check_length(lm.model, int(max(rows.lengths.max(), dev_rows.lengths.max())))
    how = params.new_head
    precision = choose_device_precision(how.precision).used
    before = score_masked_lm(lm, dev_rows, batch_size=how.batch_size, precision=precision)

    def run(phase: str, training: OptimiserParams) -> MlmTrainingRecord:
        return train_masked_lm(
            name=phase,
            lm=lm,
            rows=rows,
            dev=dev_rows,
            weights=HARD_ONLY,
            params=training,
            seed=derive_seed(params.seed, phase),
            scratch=scratch / phase,
            callbacks=log_phase(phase),
        )

    new_head = adaptation = None
    if not has_head:
        lm.model.base_model.requires_grad_(requires_grad=False)
        new_head = run("new_head", params.new_head)
        lm.model.requires_grad_(requires_grad=True)
    if isinstance(params.adaptation, WholeAdaptation):
        adaptation = run("adaptation", params.adaptation.training)
    last = adaptation or new_head
    record = MlmTeacherRecord(
        has_head=has_head,
        before=before,
        after=last.after if last else before,
        new_head=new_head,
        adaptation=adaptation,
    )
    return MadeTeacher(lm, record)
