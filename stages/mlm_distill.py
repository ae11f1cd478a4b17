"""Distil a task-agnostic student from the masked-language-model teacher; students can be initialised from it."""

from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.tables import open_table
from pipestill.mlm.caching import open_mlm_cache
from pipestill.mlm.distillation import distil_mlm
from pipestill.mlm.model import load_masked_lm, save_masked_lm
from pipestill.mlm.params import MlmDistillParams
from pipestill.mlm.reporting import as_metrics, log_curves, print_scores
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/mlm/params.yaml")
MASKS = Path("data/mlm/masks")
TEACHER = Path("models/mlm/teacher")
CACHE = Path("data/mlm/soft_targets")
OUT = Path("models/mlm/student")
RECORD = Path("metrics/mlm/student.json")


def main() -> None:
    """Read params, open the cache, train, write the student and its record."""
    params = load_section("mlm_distill", MlmDistillParams, PARAMS)
    with stage_run(params) as run:
        masks = MASKS / "train.parquet"
        run.log_dataset("train", masks, "distillation")
        run.log_dataset("dev", MASKS / "dev.parquet", "evaluation")
        teacher, train = load_masked_lm(TEACHER).lm, open_table(masks)
        distilled = distil_mlm(
            params,
            teacher=teacher,
            cache=open_mlm_cache(CACHE, teacher=teacher, teacher_folder=TEACHER, table=train, masks=masks),
            train=train,
            dev=open_table(MASKS / "dev.parquet"),
            scratch=run.scratch,
            callbacks=log_curves(run, "mlm_distill"),
        )
        save_masked_lm(distilled.lm, OUT)
        write_json(RECORD, distilled.record)
        for name, scores in (("before", distilled.record.before), ("after", distilled.record.after)):
            print_scores(f"mlm_distill, {name}", scores)
            run.log_metrics(as_metrics(f"{name}.dev", scores))
        run.log_choices(distilled.record.choices)
        run.log_metrics({"num_parameters": distilled.record.num_parameters, "train_seconds": distilled.seconds})
        run.log_model("mlm_student", OUT)


if __name__ == "__main__":
    run_main(main)
