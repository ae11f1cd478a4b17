"""Parse all of pipelines/ablation/params.yaml, and write the code lists of the ablation's stages."""

from pathlib import Path

from pipestill.ablation.params import check_grid
from pipestill.code.closure import exporting_code, training_code
from pipestill.code.lists import write_code_lists
from pipestill.exporters.params import ExportParams
from pipestill.params import parse_section, read_params
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/ablation/params.yaml")
OUT = Path("data/ablation/params-ok.json")


def main() -> None:
    """Check the params, write the mark of success and the code lists, one for each cell."""
    content = read_params(PARAMS)
    with stage_run(content) as run:
        cells = check_grid(content)
        run.log_metrics({"num_cells": len(cells)})
        write_json(OUT, {"params": "every section of the ablation's params fits its specification"})
        members = {
            "ablation_cell": {name: training_code(student) for name, student in cells.items()}
            | {"": exporting_code(parse_section(content, "export", ExportParams))}
        }
        write_code_lists(read_params(PARAMS.with_name("dvc.yaml")), "ablation_check", members)


if __name__ == "__main__":
    run_main(main)
