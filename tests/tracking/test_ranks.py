"""Two processes of one training, as torch's launcher starts them, are one run."""

import json
import sys

import pytest
from repositories import Repository

from pipestill.records import read_record
from pipestill.tracking.run_record import RunRecord, record_path

pytestmark = pytest.mark.slow
STAGE = """
import json, os, pathlib
import torch
from pipestill.tracking import run_main, stage_run

def main():
    with stage_run({"lr": 5e-5}) as run:
        torch.distributed.init_process_group("gloo")
        rank = torch.distributed.get_rank()
        total = torch.tensor([float(rank + 1)])
        torch.distributed.all_reduce(total)
        run.log_metrics({"total": total.item(), f"seen_by_{rank}": 1.0}, step=1)
        run.log_text(f"rank-{rank}.md", "# a card")
        pathlib.Path(f"rank-{rank}.json").write_text(json.dumps([total.item(), os.getpid(), str(run.scratch)]))
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()

run_main(main)
"""


@pytest.mark.pipeline
@pytest.mark.timeout(600)
def test_two_ranks_of_a_real_launcher_write_one_run_and_one_record(repository: Repository) -> None:
    (repository.root / "ranks.py").write_text(STAGE)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    repository.run(sys.executable, *launcher, "ranks.py", **repository.stage_environment())
    ranks = [json.loads((repository.root / f"rank-{rank}.json").read_text()) for rank in (0, 1)]
    assert [total for total, _, _ in ranks] == [3.0, 3.0]  # they did work together
    assert ranks[0][1] != ranks[1][1]
    assert ranks[0][2] != ranks[1][2]
    (run,) = repository.runs()
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"total": 3.0, "seen_by_0": 1.0}
    assert run.data.tags["process.id"] == str(ranks[0][1])
    names = {artifact.path for artifact in repository.client().list_artifacts(run.info.run_id)}
    assert names == {"rank-0.md", "environment.json"}
    record = read_record(repository.root / record_path("first"), RunRecord)
    assert record.run_id == run.info.run_id
    assert list(record.metrics) == ["total", "seen_by_0"]
    assert [*(repository.root / ".scratch").glob("*/")] == []
