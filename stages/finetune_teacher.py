"""Fine-tune the teacher on the train rows; the best epoch on dev is kept."""

from pathlib import Path

from pipestill.data.schema import read_labels
from pipestill.data.tables import DEV, LABELS, TRAIN, open_table, read_columns
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.teacher import save_classifier
from pipestill.tracking import run_main, stage_run
from pipestill.training.finetune import FinetuneTeacherParams, finetune_teacher
from pipestill.training.material import Material
from pipestill.training.reporting import log_trained, tell

BASE = Path("models/base")
TEACHER = Path("models/teacher")
RECORD = Path("metrics/training/teacher.json")


def main() -> None:
    """Read params, train, write the teacher and its curves."""
    params = load_section("finetune_teacher", FinetuneTeacherParams)
    with stage_run(params) as run:
        run.log_dataset("train", TRAIN, "training")
        run.log_dataset("dev", DEV, "selection")
        material = Material(
            labels=read_labels(LABELS), table=open_table(TRAIN), dev=read_columns(DEV), scratch=run.scratch
        )
        trained = finetune_teacher(params, BASE, material, tell(run))
        save_classifier(trained.classifier, TEACHER)
        write_json(RECORD, trained.record)
        log_trained(run, trained)
        run.log_model("teacher", TEACHER)


if __name__ == "__main__":
    run_main(main)
