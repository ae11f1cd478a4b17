"""The module that is trained: a student with the learned projections of its losses."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipestill.losses._base import LossInputs, new_projection, reads
from pipestill.losses._features import Reads, Sizes
from pipestill.losses.params import Objective
from pipestill.training.objective import objective_sum
from pipestill.training.recorder import Recorder, sizes_of
from pipestill.training.signals import Batch, Signal, Targets


class Learner(nn.Module):
    """A student and the learned projections of its objective, as one module for the trainer and its checkpoints.

    Args:
        student: model that is saved and scored, without the projections.
        objective: weighted losses to minimise.
        teacher: sizes of the teacher; None without a teacher or losses on its features.
        seed: random seed of the projections.
    """

    def __init__(self, student: PreTrainedModel, objective: Objective, teacher: Sizes | None, seed: int) -> None:
        super().__init__()
        self.student = student
        self.projections = nn.ModuleDict()
        self._objective = objective
        sites = Reads()
        if teacher is not None:
            sites = objective_reads(objective, sizes_of(student), teacher)
            self.projections.update(_projections(objective, sizes_of(student), teacher, seed))
        self._recorder = Recorder(student, sites.student)

    def forward(self, batch: Batch, targets: Targets, progress: float) -> Float[Tensor, ""]:
        """Compute the objective of a batch, as a sum over its rows.

        Args:
            batch: token ids and labels.
            targets: logits and features of the teacher.
            progress: fraction of the training that is done, 0 to 1.
        """
        logits, features = self._recorder.run(batch["input_ids"], batch["attention_mask"])
        with torch.autocast(logits.device.type, enabled=False):  # losses stay float32
            inputs = LossInputs(
                student_logits=logits.float(),
                teacher_logits=targets.logits,
                label_ids=batch["label_id"],
                progress=progress,
                attention_mask=batch["attention_mask"],
                student_features=features,
                teacher_features=targets.features,
            )
            each = [
                replace(inputs, projection=self.projections[str(number)]) if str(number) in self.projections else inputs
                for number in range(len(self._objective))
            ]
            return objective_sum(self._objective, each)


def loss_on(signal: Signal) -> Callable[[Learner, Batch, float], Float[Tensor, ""]]:
    """Make the function that runs a learner on a batch and on its targets from a signal."""

    def loss(learner: Learner, batch: Batch, progress: float) -> Float[Tensor, ""]:
        total: Tensor = learner(batch=batch, targets=signal.targets(batch), progress=progress)
        return total

    return loss


def objective_reads(objective: Objective, student: Sizes, teacher: Sizes) -> Reads:
    """Return the sites that an objective reads of a student and a teacher.

    Raises:
        ModelError: the two do not fit one of its losses.
    """
    sites = Reads()
    for term in objective:
        sites |= reads(term.loss, student, teacher)
    return sites


def _projections(objective: Objective, student: Sizes, teacher: Sizes, seed: int) -> dict[str, nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = [new_projection(term.loss, student, teacher) for term in objective]
    return {str(number): module for number, module in enumerate(made) if module is not None}
