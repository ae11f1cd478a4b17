"""Train one student: on the teacher's cached logits, with the teacher in the loop, or without a teacher."""

import argparse
from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.tables import DEV, LABELS, open_table, read_columns
from pipestill.records import read_record, write_json
from pipestill.student_files import settings_file
from pipestill.tasks.targets import read_labels
from pipestill.teacher import save_classifier
from pipestill.tracking import run_main, stage_run
from pipestill.training.distillation import train_student
from pipestill.training.inputs import TrainingInputs
from pipestill.training.reporting import log_curves, log_trained
from pipestill.training.student_params import StudentParams

STUDENTS = Path("models/students")
RECORDS = Path("metrics/training")


def main() -> None:
    """Read the student's settings, train, write the student and its curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", help="a key of `students` in params.yaml")
    name: str = parser.parse_args().student
    params = read_record(settings_file(name), StudentParams)
    with stage_run(params) as run:
        run.log_dataset("rows", params.table, "training")
        run.log_dataset("dev", DEV, "selection")
        inputs = TrainingInputs(
            labels=read_labels(LABELS), table=open_table(params.table), dev=read_columns(DEV), scratch=run.scratch
        )
        trained = train_student(name, params, inputs, log_curves(run))
        save_classifier(trained.classifier, STUDENTS / name)
        write_json(RECORDS / f"{name}.json", trained.record)
        log_trained(run, trained)
        run.log_model(name, STUDENTS / name)


if __name__ == "__main__":
    run_main(main)
