"""Parse every section of params.yaml, so that a mistake in the last one shows before the first stage runs.

Its out is the same for every params.yaml that passes: the stages after it do not rerun because this one did.
"""

from pathlib import Path

from pipestill.params import read_params
from pipestill.records import write_json
from pipestill.settings import PIPELINE, check_settings
from pipestill.tracking import run_main, stage_run

OUT = Path("data/params-ok.json")


def main() -> None:
    """Read params.yaml and dvc.yaml, check, write the mark that says so."""
    content = read_params()
    with stage_run(content) as run:
        run.log_metrics({"num_students": check_settings(content, read_params(PIPELINE))})
        write_json(OUT, {"params": "every section of params.yaml fits its specification"})


if __name__ == "__main__":
    run_main(main)
