"""Build the transfer set: the train rows, and augmented copies of train and unlabelled rows."""

from pipestill.data.tables import PREPARED, TRANSFER
from pipestill.params import load_section
from pipestill.sources.base import BASE, read_mask_token
from pipestill.tracking import run_main, stage_run
from pipestill.transfer.build import build_transfer
from pipestill.transfer.params import TransferParams


def main() -> None:
    """Fill data/transfer."""
    params = load_section("transfer", TransferParams)
    with stage_run(params) as run:
        card = build_transfer(PREPARED, TRANSFER.parent, params, run.scratch, mask_token=read_mask_token(BASE))
        metrics = {"num_rows": float(card.num_rows)}
        for origin, counts in card.origins.items():
            metrics |= {f"{origin}.{name}": float(count) for name, count in counts.model_dump().items()}
        run.log_metrics(metrics)
        run.log_dataset("transfer", TRANSFER, "transfer")


if __name__ == "__main__":
    run_main(main)
