"""Parse every section of params.yaml, so that a mistake in the last one shows before the first stage runs.

The stages after it do not rerun because this one did. It alone depends on all params and all code, and writes files for
the others: the settings of each student, merged with the defaults, and the code list of each stage, with the digests of
the modules that it is made of.
"""

from pathlib import Path

from pipestill.code.closure import loading_code, named_code
from pipestill.code.lists import write_code_lists
from pipestill.defaults import write_students
from pipestill.exporters.params import ExportParams
from pipestill.params import parse_section, read_params
from pipestill.records import write_json
from pipestill.settings import PIPELINE, check_settings
from pipestill.tracking import run_main, stage_run

OUT = Path("data/params-ok.json")


def main() -> None:
    """Read params.yaml and dvc.yaml, check, write the mark of success, the students' settings and the code lists."""
    content = read_params()
    with stage_run(content) as run:
        pipeline = read_params(PIPELINE)
        students = check_settings(content, pipeline)
        run.log_metrics({"num_students": len(students)})
        write_json(OUT, {"params": "every section of params.yaml fits its specification"})
        write_students(content, students)
        loading = {name: loading_code(student) for name, student in students.items()}
        training = {name: named_code(student) for name, student in students.items()}
        exporting = {"": named_code(parse_section(content, "export", ExportParams))} | loading
        write_code_lists(pipeline, "check", {"distill": training, "export": exporting, "evaluate": loading})


if __name__ == "__main__":
    run_main(main)
