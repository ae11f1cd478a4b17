"""Run the teacher once over the ablation's transfer set; keep its logits and the features that recipes read."""

from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.tables import LABELS, open_table
from pipestill.logit_cache import CacheLogitsParams
from pipestill.logit_cache.reader import read_stored
from pipestill.params import load_section
from pipestill.tasks.targets import read_labels
from pipestill.teacher import load_classifier
from pipestill.tracking import run_main, stage_run
from pipestill.training.caching import cache_logits

PARAMS = Path("pipelines/ablation/params.yaml")
ROWS = Path("data/ablation/transfer/rows.parquet")
TEACHER = Path("models/teacher")
OUT = Path("data/ablation/logits")


def main() -> None:
    """Read params, run the teacher, write the cache."""
    params = load_section("cache_logits", CacheLogitsParams, PARAMS)
    with stage_run(params) as run:
        run.log_dataset("transfer", ROWS, "distillation")
        metrics = cache_logits(
            params,
            teacher=load_classifier(TEACHER),
            teacher_folder=TEACHER,
            labels=read_labels(LABELS),
            table=open_table(ROWS),
            scratch=run.scratch,
            out=OUT,
        )
        run.log_choices(read_stored(OUT).choices)
        run.log_metrics(metrics)


if __name__ == "__main__":
    run_main(main)
