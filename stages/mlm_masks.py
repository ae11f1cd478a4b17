"""Draw the masks of a masked language model over unlabelled and train rows, once for teacher and student."""

from pathlib import Path

from pipestill.data.scratch import scratch_database
from pipestill.data.tables import PREPARED
from pipestill.mlm.masks import write_masks
from pipestill.mlm.params import MlmMasksParams
from pipestill.mlm.texts import Texts
from pipestill.params import load_section
from pipestill.records import write_json
from pipestill.text.tokenizer import load_tokenizer
from pipestill.tracking import run_main, stage_run

PARAMS = Path("pipelines/mlm/params.yaml")
BASE = Path("models/base")
OUT = Path("data/mlm/masks")


def main() -> None:
    """Fill data/mlm/masks."""
    params = load_section("mlm_masks", MlmMasksParams, PARAMS)
    with stage_run(params) as run:
        with scratch_database(run.scratch / "texts.sqlite") as database:
            texts = Texts(PREPARED, database, run.scratch / "tables", params.max_rows)
            card = write_masks(params, load_tokenizer(BASE), texts, OUT)
        write_json(OUT / "card.json", card)
        metrics = {"num_held_out": texts.num_held_out, "num_left_out_rows": card.num_left_out_rows}
        for name, split in card.splits.items():
            metrics |= {f"{name}.{key}": value for key, value in split.model_dump().items()}
        run.log_metrics(metrics)
        print(f"mlm_masks: {card.splits['train'].num_rows} rows to train on, {card.splits['dev'].num_rows} held out")


if __name__ == "__main__":
    run_main(main)
