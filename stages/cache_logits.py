"""Run the teacher, or one more teacher, once over the transfer set and keep its logits."""

import argparse
from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.tables import LABELS, open_table
from pipestill.logit_cache import CacheLogitsParams
from pipestill.logit_cache.reader import read_stored
from pipestill.params import load_section
from pipestill.sources.base import BASE, read_mask_token
from pipestill.tasks.targets import read_labels
from pipestill.teacher import load_classifier
from pipestill.tracking import run_main, stage_run
from pipestill.training.caching import cache_logits

ROWS = Path("data/transfer/rows.parquet")
TEACHER = Path("models/teacher")
OUT = Path("data/logits")
MORE = Path("models/teachers")
MORE_OUT = Path("data/more_logits")


def main() -> None:
    """Read params, run the teacher, write the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teacher", nargs="?", help="a key of `more_teachers` in params.yaml")
    name: str | None = parser.parse_args().teacher
    params = load_section("cache_logits", CacheLogitsParams)
    teacher, out, mask_token = TEACHER, OUT, None
    if name is not None:
        teacher, out, mask_token = MORE / name, MORE_OUT / name, read_mask_token(BASE)
        params = params.model_copy(update={"features": params.features.none})  # only the first teacher's are read
    with stage_run(params) as run:
        run.log_dataset("transfer", ROWS, "distillation")
        metrics = cache_logits(
            params,
            teacher=load_classifier(teacher),
            teacher_folder=teacher,
            labels=read_labels(LABELS),
            table=open_table(ROWS),
            scratch=run.scratch,
            out=out,
            mask_token=mask_token,
        )
        run.log_choices(read_stored(out).choices)
        run.log_metrics(metrics)


if __name__ == "__main__":
    run_main(main)
