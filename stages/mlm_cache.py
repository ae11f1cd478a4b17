"""Run the masked-language-model teacher once over the masked rows and keep its top-k soft targets."""

from pathlib import Path

import pipestill.threads  # noqa: F401 (before torch: OpenMP reads its settings when it is loaded)
from pipestill.data.tables import open_table
from pipestill.mlm.caching import fill_mlm_cache
from pipestill.mlm.model import load_masked_lm
from pipestill.mlm.params import MlmCacheParams
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/mlm/params.yaml")
MASKS = Path("data/mlm/masks/train.parquet")
TEACHER = Path("models/mlm/teacher")
OUT = Path("data/mlm/soft_targets")
RECORD = Path("metrics/mlm/cache.json")


def main() -> None:
    """Read params, run the teacher, write the cache and its figures."""
    params = load_section("mlm_cache", MlmCacheParams, PARAMS)
    with stage_run(params) as run:
        run.log_dataset("train", MASKS, "distillation")
        cached = fill_mlm_cache(
            params,
            teacher=load_masked_lm(TEACHER).lm,
            folder=TEACHER,
            table=open_table(MASKS),
            masks=MASKS,
            scratch=run.scratch,
            out=OUT,
        )
        identity = cached.card.identity
        kept = {
            "num_rows": identity.num_rows,
            "num_masked_tokens": identity.num_masked_tokens,
            "k": identity.k,
            "temperature": identity.temperature,
            "mass_kept_fraction": cached.card.mass_kept_fraction,
            "bytes_per_masked_token": cached.card.bytes_per_masked_token,
        }
        write_json(RECORD, kept)
        print(f"mlm_cache: {kept['mass_kept_fraction']:.4f} of the mass in {kept['bytes_per_masked_token']:.0f} bytes")
        run.log_choices(cached.card.choices)
        run.log_metrics(kept | {"num_computed_rows": cached.num_computed_rows, "seconds": cached.seconds})


if __name__ == "__main__":
    run_main(main)
