"""Fine-tune the teacher, or one more teacher for an ensemble, on the train rows; the best epoch on dev is kept."""

import argparse
from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.tables import DEV, LABELS, TRAIN, open_table, read_columns
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.tasks.targets import read_labels
from pipestill.teacher import save_classifier
from pipestill.tracking import run_main, stage_run
from pipestill.training.finetune import finetune_teacher
from pipestill.training.inputs import TrainingInputs
from pipestill.training.params import FinetuneTeacherParams, MoreTeacherParams
from pipestill.training.reporting import log_curves, log_trained

BASE = Path("models/base")
TEACHER = "teacher"
MORE = Path("models/teachers")
RECORDS = Path("metrics/training")


def main() -> None:
    """Read params, train, write the teacher and its curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teacher", nargs="?", default=TEACHER, help="a key of `more_teachers` in params.yaml")
    name: str = parser.parse_args().teacher
    params: FinetuneTeacherParams
    if name == TEACHER:
        base, out, record = BASE, Path("models/teacher"), RECORDS / "teacher.json"
        params = load_section("finetune_teacher", FinetuneTeacherParams)
    else:
        params = more = load_section(f"more_teachers.{name}", MoreTeacherParams)
        base, out, record = Path(more.base), MORE / name, RECORDS / f"teacher-{name}.json"
    with stage_run(params) as run:
        run.log_dataset("train", TRAIN, "training")
        run.log_dataset("dev", DEV, "selection")
        inputs = TrainingInputs(
            labels=read_labels(LABELS), table=open_table(TRAIN), dev=read_columns(DEV), scratch=run.scratch
        )
        trained = finetune_teacher(name, params, base, inputs, log_curves(run))
        save_classifier(trained.classifier, out)
        write_json(record, trained.record)
        log_trained(run, trained)
        run.log_model(name, out)


if __name__ == "__main__":
    run_main(main)
