"""Parse every section of params.yaml, so that a mistake in the last one shows before the first stage runs.

Its outs hold no params: the stages after it do not rerun because this one did. For each student it says of which source
files its losses and its architecture are made: the student reruns when one of those changes, and no other does.
"""

from pathlib import Path

from pipestill.closure import loading_code, training_code
from pipestill.fingerprint import sha256_file
from pipestill.params import read_params
from pipestill.records import write_json
from pipestill.settings import PIPELINE, check_settings
from pipestill.tracking import run_main, stage_run

OUT = Path("data/params-ok.json")
CODE = Path("data/code")


def main() -> None:
    """Read params.yaml and dvc.yaml, check, write the mark that says so and what each student is made of."""
    content = read_params()
    with stage_run(content) as run:
        students = check_settings(content, read_params(PIPELINE))
        run.log_metrics({"num_students": len(students)})
        write_json(OUT, {"params": "every section of params.yaml fits its specification"})
        for name, student in students.items():
            for purpose, files in (("training", training_code(student)), ("loading", loading_code(student))):
                write_json(CODE / f"{name}-{purpose}.json", {path: sha256_file(Path(path)) for path in files})


if __name__ == "__main__":
    run_main(main)
