"""Parse all of pipelines/ablation/params.yaml; write the students' settings and the code lists of the other stages."""

from pathlib import Path

from pipestill.ablation.params import check_grid, grid_students
from pipestill.code.closure import named_code
from pipestill.code.lists import write_code_lists
from pipestill.defaults import write_students
from pipestill.exporters.params import ExportParams
from pipestill.params import parse_section, read_params
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/ablation/params.yaml")
STUDENTS = Path("data/ablation/students")
OUT = Path("data/ablation/params-ok.json")


def main() -> None:
    """Check the params, write the mark of success, the settings of each student and the code list of each cell."""
    content = read_params(PARAMS)
    with stage_run(content) as run:
        cells = check_grid(content)
        run.log_metrics({"num_cells": len(cells)})
        write_json(OUT, {"params": "every section of the ablation's params fits its specification"})
        write_students(content, grid_students(content), STUDENTS)
        members = {
            "ablation_cell": {name: named_code(student) for name, student in cells.items()}
            | {"": named_code(parse_section(content, "export", ExportParams))}
        }
        write_code_lists(read_params(PARAMS.with_name("dvc.yaml")), "ablation_check", members)


if __name__ == "__main__":
    run_main(main)
