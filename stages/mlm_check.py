"""Parse every section of pipelines/mlm/params.yaml, so that a mistake in any of them shows before the first stage.

It also writes the code lists of the pipeline's stages.
"""

from pathlib import Path

from pipestill.code.lists import write_code_lists
from pipestill.mlm.settings import FILE, PARAMS
from pipestill.params import read_params
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run

OUT = Path("data/mlm/params-ok.json")


def main() -> None:
    """Read the params, check them, write the mark of success, which holds no params and so reruns no other stage."""
    content = read_params(PARAMS)
    with stage_run(content):
        FILE.check(content)
        write_json(OUT, {"params": "every section of pipelines/mlm/params.yaml fits its specification"})
        write_code_lists(read_params(PARAMS.with_name("dvc.yaml")), "mlm_check", {})


if __name__ == "__main__":
    run_main(main)
