"""Tracking: one MLflow run and one run record for each execution of a stage. Its faults never fail a stage.

A stage is refused where its inputs are other bytes than DVC names (tracking/inputs.py).

A stage script's first and last lines::

    def main() -> None:
        params = load_section("prepare", PrepareParams)
        with stage_run(params) as run:
            ...
            run.log_metrics({"num_rows": 10_605})

    if __name__ == "__main__":
        run_main(main)
"""

from pipestill.tracking.execution import StageRun, stage_run
from pipestill.tracking.process import run_main

__all__ = ["StageRun", "run_main", "stage_run"]
