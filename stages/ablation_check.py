"""Parse all of pipelines/ablation/params.yaml, and write the source files that each cell depends on."""

from pathlib import Path

from pipestill.ablation.params import check_grid
from pipestill.closure import closure, training_code
from pipestill.fingerprint import sha256_file
from pipestill.params import read_params
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/ablation/params.yaml")
OUT = Path("data/ablation/params-ok.json")
CODE = Path("data/ablation/code")
CELL = Path("stages/ablation_cell.py")


def main() -> None:
    """Check the params, write the mark of success and each cell's source files."""
    content = read_params(PARAMS)
    with stage_run(content) as run:
        cells = check_grid(content)
        run.log_metrics({"num_cells": len(cells)})
        write_json(OUT, {"params": "every section of the ablation's params fits its specification"})
        for name, student in cells.items():
            files = sorted({CELL.as_posix(), *closure(CELL), *training_code(student)})
            write_json(CODE / f"{name}.json", {path: sha256_file(Path(path)) for path in files})


if __name__ == "__main__":
    run_main(main)
