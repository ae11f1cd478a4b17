"""Build the ablation's own transfer set, smaller than the main pipeline's."""

from pathlib import Path

from pipestill.data.tables import PREPARED, TRANSFER
from pipestill.params import load_section
from pipestill.sources.base import BASE, read_mask_token
from pipestill.tracking import run_main, stage_run
from pipestill.transfer.build import build_transfer
from pipestill.transfer.params import TransferParams

PARAMS = Path("pipelines/ablation/params.yaml")
OUT = Path("data/ablation/transfer")


def main() -> None:
    """Fill data/ablation/transfer."""
    params = load_section("transfer", TransferParams, PARAMS)
    with stage_run(params) as run:
        card = build_transfer(PREPARED, OUT, params, run.scratch, mask_token=read_mask_token(BASE))
        run.log_metrics({f"{origin}.num_rows": float(counts.num_rows) for origin, counts in card.origins.items()})
        run.log_metrics({"num_rows": float(card.num_rows)})
        run.log_dataset("transfer", OUT / TRANSFER.name, "transfer")


if __name__ == "__main__":
    run_main(main)
