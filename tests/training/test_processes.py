"""Two processes, each with half of a batch, give the gradients of one process with the whole batch."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from pipestill.losses._base import LossInputs
from pipestill.losses.params import CrossEntropySpec, SoftTargetKlSpec, Term
from pipestill.seeding import seed_everything
from pipestill.tasks.targets import NO_LABEL
from pipestill.teacher import load_classifier
from pipestill.training.objective import objective_sum
from pipestill.training.rows import Collator

OBJECTIVE = (
    Term(0.5, CrossEntropySpec(kind="cross_entropy")),
    Term(2.0, SoftTargetKlSpec(kind="soft_target_kl", temperature=2.0)),
)


def rows() -> list[dict[str, Any]]:
    """Eight rows, the second half without labels: a mean over labelled rows would differ between the halves."""
    return [
        {"row": row, "input_ids": [2, *range(5, 6 + row), 3], "label_id": row % 3 if row < 4 else NO_LABEL}
        for row in range(8)
    ]


def loss_of(model: torch.nn.Module, batch: list[dict[str, Any]]) -> torch.Tensor:
    collated = Collator(0)(batch)
    logits = model(input_ids=collated["input_ids"], attention_mask=collated["attention_mask"]).logits
    teacher = torch.stack([torch.arange(3.0) * (row["row"] % 2) for row in batch])
    return objective_sum(OBJECTIVE, [LossInputs(logits, teacher, collated["label_id"])] * 2) / len(batch)


def worker(rank: int, meeting: str, folder: str, out: str) -> None:
    # They meet over a file: a port that was free a moment ago may be another test's by now.
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    gradients = gradients_of(rank, folder)
    if rank == 0:
        torch.save(gradients, out)
    torch.distributed.destroy_process_group()


def gradients_of(rank: int, folder: str) -> dict[str, Any]:
    """The gradients of a rank's half of the rows; the distributed model ends here, before the group does.

    Where it outlived the group, its end waited for a thread of the group that waited for it.
    """
    seed_everything(0)
    model = torch.nn.parallel.DistributedDataParallel(load_classifier(Path(folder)).model)
    loss_of(model, rows()[rank * 4 : rank * 4 + 4]).backward()
    return {name: parameter.grad for name, parameter in model.module.named_parameters()}


@pytest.mark.pipeline
def test_two_processes_give_the_gradients_of_one(teacher_folder: Path, tmp_path: Path) -> None:
    arguments = (str(tmp_path / "meeting"), str(teacher_folder), str(tmp_path / "gradients"))
    multiprocessing.spawn(worker, args=arguments, nprocs=2)
    together = torch.load(tmp_path / "gradients", weights_only=True)
    seed_everything(0)
    model = load_classifier(teacher_folder).model
    loss_of(model, rows()).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, together[name], atol=1e-5, rtol=1e-3, msg=name)
