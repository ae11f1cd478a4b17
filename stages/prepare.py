"""Prepare the data set: clean, deduplicate, split, check and describe the raw rows."""

from pipestill.data.params import PrepareParams
from pipestill.data.prepare import prepare
from pipestill.data.tables import CARD_TEXT, DEV, PREPARED, TEST, TRAIN
from pipestill.params import load_section
from pipestill.raw import MANIFEST, RAW, RawManifest
from pipestill.records import read_record
from pipestill.tracking import run_main, stage_run


def main() -> None:
    """Fill data/prepared."""
    params = load_section("prepare", PrepareParams)
    with stage_run(params) as run:
        card = prepare(read_record(MANIFEST, RawManifest), RAW, PREPARED, params, run.scratch)
        run.log_metrics(
            {
                **{f"num_rows.{name}": float(split.num_rows) for name, split in card.splits.items()},
                "num_labels": float(len(card.splits["train"].num_rows_by_label)),
                "num_dropped": float(sum(sum(reasons.values()) for reasons in card.num_dropped.values())),
                "num_contradictory_texts": float(card.num_contradictory_texts),
            }
        )
        run.log_text("data_card.md", CARD_TEXT.read_text(encoding="utf-8"))
        for path in (TRAIN, DEV, TEST):
            run.log_dataset(path.stem, path, path.stem)


if __name__ == "__main__":
    run_main(main)
