"""Make the masked-language-model teacher: the base with its own head, or with a new one that is trained here."""

from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.tables import open_table
from pipestill.mlm.model import save_masked_lm
from pipestill.mlm.params import MlmTeacherParams
from pipestill.mlm.reporting import as_metrics, log_curves, print_scores
from pipestill.mlm.teacher import make_teacher
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/mlm/params.yaml")
BASE = Path("models/base")
MASKS = Path("data/mlm/masks")
OUT = Path("models/mlm/teacher")
RECORD = Path("metrics/mlm/teacher.json")


def main() -> None:
    """Read params, load or train, write the teacher and its record."""
    params = load_section("mlm_teacher", MlmTeacherParams, PARAMS)
    with stage_run(params) as run:
        train, dev = MASKS / "train.parquet", MASKS / "dev.parquet"
        run.log_dataset("train", train, "training")
        run.log_dataset("dev", dev, "evaluation")
        made = make_teacher(
            params, BASE, open_table(train), open_table(dev), run.scratch, lambda phase: log_curves(run, phase)
        )
        save_masked_lm(made.lm, OUT)
        write_json(RECORD, made.record)
        for name in ("before", "after"):
            scores = getattr(made.record, name)
            print_scores(f"mlm_teacher, {name}", scores)
            run.log_metrics(as_metrics(f"{name}.dev", scores))
        phases = [phase for phase in (made.record.new_head, made.record.adaptation) if phase]
        run.log_choices([choice for phase in phases[-1:] for choice in phase.choices])
        run.log_metrics({"has_head": float(made.record.has_head)})
        run.log_model("mlm_teacher", OUT)


if __name__ == "__main__":
    run_main(main)
